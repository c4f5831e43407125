//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/cmd/internal/program/programtest"
	"github.com/polyphon/polyphon/polynet"
)

func TestMain(m *testing.M) {
	programtest.Main(main)
	os.Exit(m.Run())
}

// endLimit is how long a program may take to end after a signal, on a busy machine.
const endLimit = 20 * time.Second

// TestSignalsInEachPhase sends signals to each phase of each command.
func TestSignalsInEachPhase(t *testing.T) {
	dir, fifo, data := t.TempDir(), programtest.FIFO(t), pitches(t, 12, "low", "high")
	path := func(name string) string { return filepath.Join(dir, name) }
	long := t.TempDir() // takes longer to read than the test waits
	for i := range 60 {
		name := filepath.Join(long, []string{"yes", "no"}[i%2], fmt.Sprintf("%d.wav", i))
		os.MkdirAll(filepath.Dir(name), 0o755)
		os.WriteFile(name, audiotest.WAV(audio.S16LE, 16000, make([]float32, 1<<21)), 0o644)
	}
	small := []string{"--data", long, "--model", "small", "--split", "all"}
	others := programtest.EndSignals()
	for name, args := range map[string][]string{
		"training":                      quick(data, path("m"), "--epochs", "100000", "--force"),
		"reading the training data":     quick(long, path("m"), "--force"),
		"a teacher that does not come":  quick(data, path("m"), "--teacher", fifo, "--force"),
		"evaluation":                    append([]string{"eval"}, small...),
		"a model that does not come":    {"eval", "--data", data, "--model", fifo},
		"tuning":                        append([]string{"tune", "--without", long, "--out", path("t")}, small...),
		"an export that nobody reads":   {"export", "--onnx", fifo, "small"},
		"an import that does not come":  {"import", "--safetensors", fifo, "--like", "small", "--out", path("i")},
		"information about what's away": {"info", fifo},
	} {
		t.Run(name, func(t *testing.T) {
			for _, signal := range []syscall.Signal{syscall.SIGINT, others[0]} {
				p := programtest.Interrupt(t, signal, endLimit, args...)
				status, errs := p.Status(endLimit), p.Err.String()
				if status != program.StatusInterrupted || !strings.Contains(errs, "train: interrupted") {
					t.Errorf("%v: status %d, %q", signal, status, errs)
				}
				if left := programtest.Hidden(t, dir); left != nil {
					t.Errorf("%q are left", left)
				}
			}
			slices.Reverse(others)
		})
	}
}

// TestKilledFitResumes kills a training run again and again, each time after another epoch at most, until it is done.
func TestKilledFitResumes(t *testing.T) {
	data, model := pitches(t, 12, "low", "high"), filepath.Join(t.TempDir(), "m.safetensors")
	more := []string{}
	for kills := range 4 {
		p := programtest.Start(t, nil, quick(data, model, append(more, "--epochs", "120")...)...)
		programtest.Wait(t, "an epoch", func() bool { return strings.Contains(p.Err.String(), "\nepoch ") })
		signal := []syscall.Signal{syscall.SIGKILL, syscall.SIGINT}[kills%2]
		p.Signal(signal, false)
		status := p.Status(endLimit)
		if signal == syscall.SIGINT && status != program.StatusOK {
			if errs := p.Err.String(); status != program.StatusInterrupted || !strings.Contains(errs, "--resume continues") {
				t.Errorf("status %d, %q", status, errs)
			}
			if m, err := polynet.Load(model); err != nil || m.Provenance.BestEpoch < 1 {
				t.Errorf("an interrupted run leaves no model: %v, %q", err, p.Err.String())
			}
			os.Remove(model)
		}
		more = []string{"--resume"}
	}
	status, _, errs := train(t.Context(), quick(data, model, "--epochs", "120", "--resume")...)
	if status != program.StatusOK || strings.Contains(errs, "epoch 1 ") {
		t.Errorf("status %d, %q", status, errs)
	}
	if m, err := polynet.Load(model); err != nil || m.Provenance.Epochs != 120 {
		t.Errorf("%v", err)
	}
}

// TestInterruptedReport interrupts a report while its folder is being written: nothing is left of it.
func TestInterruptedReport(t *testing.T) {
	data, home := pitches(t, 20, "yes", "no"), t.TempDir()
	p := programtest.Start(t, nil, "report", "--model", "small", "--data", data, "--split", "all", "--silence", "0",
		"--worst", "40", "--out", filepath.Join(home, "report"))
	begun := func() bool {
		files, _ := filepath.Glob(filepath.Join(home, ".report.*", "error-*.svg"))
		return len(files) > 0
	}
	programtest.Wait(t, "a clip in the report", begun)
	p.Signal(syscall.SIGINT, false)
	if status := p.Status(endLimit); status != program.StatusInterrupted {
		t.Errorf("status %d, %s", status, p.Err.String())
	}
	if left, err := os.ReadDir(home); err != nil || len(left) != 0 {
		t.Errorf("%v is left, error %v", left, err)
	}
}

// TestOutputsThatAreNoFiles writes into devices and pipes, and through links.
func TestOutputsThatAreNoFiles(t *testing.T) {
	data, dir := pitches(t, 12, "low", "high"), t.TempDir()
	for _, link := range []string{"link", "model"} {
		if err := os.Symlink(filepath.Join(dir, "target of "+link), filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	fifo := programtest.FIFO(t)
	read := make(chan []byte)
	go func() {
		content, _ := os.ReadFile(fifo)
		read <- content
	}()
	for name, args := range map[string][]string{
		"fit to a device":  quick(data, "/dev/null"),
		"fit to a link":    quick(data, filepath.Join(dir, "model")),
		"export to a pipe": {"export", "--onnx", fifo, "small"},
		"export to a link": {"export", "--onnx", filepath.Join(dir, "link"), "small"},
	} {
		if status, _, errs := train(t.Context(), args...); status != program.StatusOK {
			t.Errorf("%s: status %d, %s", name, status, errs)
		}
	}
	if _, err := polynet.Load(filepath.Join(dir, "target of model")); err != nil {
		t.Error(err)
	}
	onnx, err := os.ReadFile(filepath.Join(dir, "target of link"))
	if err != nil || len(onnx) < 1e5 || string(onnx) != string(<-read) {
		t.Errorf("%d bytes, %v", len(onnx), err)
	}
	for path, kind := range map[string]os.FileMode{
		"/dev/null": os.ModeDevice, fifo: os.ModeNamedPipe,
		filepath.Join(dir, "link"): os.ModeSymlink, filepath.Join(dir, "model"): os.ModeSymlink,
	} {
		if info, err := os.Lstat(path); err != nil || info.Mode()&kind == 0 {
			t.Errorf("%s is %v now, %v", path, info, err)
		}
	}
	if exists("/dev/null.checkpoint") {
		t.Error("there is a checkpoint beside a device")
	}
	p := programtest.Start(t, nil, "export", "--onnx", "/dev/stdout", "small")
	if status := p.Status(endLimit); status != program.StatusOK || p.Out.String() != string(onnx) {
		t.Errorf("status %d, %d bytes: %s", status, len(p.Out.String()), p.Err.String())
	}
}
