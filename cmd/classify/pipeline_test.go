package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/need"
)

// TestPipelines runs the pipelines of the README, with a recording in place of the microphone. It is skipped where a
// tool is missing: install sox and ffmpeg.
func TestPipelines(t *testing.T) {
	dir := workshop(t)
	for _, c := range []struct{ name, tool, pipeline string }{
		{"arecord", "", `cat words.raw | ./classify --stream`}, // what arecord -t raw -f S16_LE -r 16000 -c 1 writes
		{"sox", "sox", `sox -q words.wav -t raw -r 16000 -b 16 -e signed -c 1 - | ./classify --stream -`},
		{"ffmpeg", "ffmpeg", `ffmpeg -v error -i words.wav -f s16le -ac 1 -ar 16000 - | ./classify --stream`},
		{"real time", "ffmpeg", `ffmpeg -v error -re -i words.wav -f s16le -ac 1 -ar 16000 - | ./classify --stream`},
		{"a WAV through a pipe", "ffmpeg", `ffmpeg -v error -i words.wav -f wav -ar 44100 -ac 2 - | ./classify --stream`},
		{"8 kHz µ-law", "sox", `sox -q words.wav -t raw -r 8000 -e mu-law -c 1 - |
			./classify --stream --rate 8000 --encoding mulaw --threshold 0.9`},
		{"48 kHz float", "ffmpeg", `ffmpeg -v error -i words.wav -f f32le -ac 2 -ar 48000 - |
			./classify --stream --rate 48000 --channels 2 --encoding f32le`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.tool != "" {
				need.Tool(t, c.tool)
			}
			cmd := exec.Command("sh", "-c", c.pipeline)
			cmd.Dir = dir
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, errs.String())
			}
			var words []string
			for line := range strings.Lines(out.String()) {
				words = append(words, strings.Fields(line)[1])
			}
			if !slices.Equal(words, []string{"left", "stop", "yes"}) {
				t.Errorf("detected %q, want left, stop and yes\n%s", words, errs.String())
			}
			if strings.Contains(errs.String(), "warning") {
				t.Errorf("stderr: %s", errs.String())
			}
		})
	}
}

// TestReaderGoes ends the reader after the first event: that is no error to talk about.
func TestReaderGoes(t *testing.T) {
	cmd := exec.Command("sh", "-c", `{ ./classify --stream < words.raw; echo "status $?" >&2; } | head -n 1`)
	cmd.Dir = workshop(t)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || bytes.Count(out, []byte("\n")) != 1 || !bytes.Contains(out, []byte(" left ")) {
		t.Errorf("%v: %s", err, out)
	}
	lines := strings.Split(errs.String(), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "classify: processed ") {
		t.Errorf("stderr: %s", errs.String())
	}
}

func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		need.Platform(t, "there are no such signals")
	}
	dir := workshop(t)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd := exec.Command("./classify", "--stream")
		cmd.Dir = dir
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		cmd.Stderr = &errs
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		words, err := os.ReadFile(filepath.Join(dir, "words.raw"))
		if err != nil {
			t.Fatal(err)
		}
		stdin.Write(words)
		if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil { // it listens
			t.Fatalf("%q, %v", line, err)
		}
		cmd.Process.Signal(sig)
		cmd.Wait()
		expect(t, sig.String(), cmd.ProcessState.ExitCode(), statusInterrupted)
		contains(t, sig.String(), errs.String(), "classify: processed ")
		contains(t, sig.String(), errs.String(), "classify: interrupted\n")
	}
}

// workshop returns a folder with the program, and with words.wav and words.raw, in which words are spoken.
func workshop(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "classify"), ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	spokenWords(t, dir)
	return dir
}

// spokenWords writes three words with pauses between them to words.wav and words.raw.
func spokenWords(t *testing.T, dir string) {
	t.Helper()
	var samples []float32
	pause := noise(rate, 0.001)
	for _, name := range []string{"left.wav", "stop.wav", "yes.wav"} {
		samples = slices.Concat(samples, pause, spoken(t, name, 1))
	}
	samples = append(samples, pause...)
	err := errors.Join(
		os.WriteFile(filepath.Join(dir, "words.wav"), wav(samples), 0o644),
		os.WriteFile(filepath.Join(dir, "words.raw"), raw(audio.S16LE, samples), 0o644))
	if err != nil {
		t.Fatal(err)
	}
}
