//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/cmd/internal/program/programtest"
)

// endLimit is how long a program may take to end after a signal, on a busy machine.
const endLimit = 20 * time.Second

// hours writes a WAV file of so many hours of silence, which take next to no room.
func hours(t *testing.T, path string, n int) {
	t.Helper()
	size := n * 3600 * rate * 2
	header := audiotest.WAV(audio.S16LE, rate, make([]float32, 8))
	header = header[:bytes.Index(header, []byte("data"))+8]
	for at, v := range map[int]int{4: len(header) - 8 + size, len(header) - 4: size} {
		copy(header[at:], []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)})
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, header, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(len(header)+size)); err != nil {
		t.Fatal(err)
	}
}

// TestSignalsInEachPhase sends signals to each phase of each command.
func TestSignalsInEachPhase(t *testing.T) {
	model, fifo := loudness(t), programtest.FIFO(t)
	folder(t, map[string][]byte{"a.wav": wav(noise(rate, loud))})
	for i := range 8 {
		hours(t, fmt.Sprintf("long/%d.wav", i), 16)
	}
	for i := range 3000 {
		os.MkdirAll(fmt.Sprintf("many/%d/%d", i%50, i), 0o755)
	}
	others := programtest.EndSignals()
	for name, args := range map[string][]string{
		"a model that does not come":      {"--model", fifo, "a.wav"},
		"a sound that does not come":      {"--model", model, "-"},
		"live sound that does not come":   {"--model", model, "--stream"},
		"a file that does not come":       {"--model", model, "a.wav", fifo},
		"a long recording":                {"--model", model, "long/1.wav"},
		"windows of long recordings":      {"--model", model, "--windows", "--format", "ndjson", "long"},
		"result files":                    {"--model", model, "--out", "r", "a.wav", "long"},
		"many folders":                    {"--model", model, "--out", "r2", "many", "long"},
		"the examination":                 {"doctor"},
		"the examination without a model": {"doctor", "--model", fifo},
	} {
		t.Run(name, func(t *testing.T) {
			for _, signal := range []syscall.Signal{syscall.SIGINT, others[0]} {
				p := programtest.Interrupt(t, signal, endLimit, args...)
				expect(t, signal.String()+": status", p.Status(endLimit), statusInterrupted)
				contains(t, signal.String(), p.Err.String(), "classify: interrupted")
				expect(t, "hidden files", programtest.Hidden(t, "."), []string(nil))
			}
			slices.Reverse(others)
		})
	}
}

// TestSecondSignal ends a program at once that waits for a reader of its results.
func TestSecondSignal(t *testing.T) {
	model := loudness(t)
	t.Chdir(t.TempDir())
	hours(t, "long.wav", 16)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	writer.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	writer.Write(make([]byte, 1<<20)) // fills the pipe
	p := programtest.Start(t, writer, "--model", model, "--windows", "--format", "ndjson", "long.wav")
	writer.Close()
	time.Sleep(2 * time.Second)
	begun := time.Now()
	p.Signal(syscall.SIGINT, false)
	time.Sleep(100 * time.Millisecond)
	p.Signal(syscall.SIGINT, false)
	expect(t, "status", p.Status(endLimit), statusInterrupted)
	if took := time.Since(begun); took >= outputHold {
		t.Errorf("took %v", took)
	}
}

// TestNoHangUp does not hear a SIGHUP that is ignored, as by nohup.
func TestNoHangUp(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `trap "" HUP; "$0" "$@" & kill -HUP $! && wait $!`, self, "doctor", "--format", "json")
	cmd.Env = append(os.Environ(), "POLYPHON_TEST_MAIN=1")
	out, err := cmd.Output()
	expect(t, "error", err, nil)
	contains(t, "output", string(out), `"ok": true`)
}

// said is a stream's sound, long enough for its events to be reported, after which it stays open.
func said() []byte { return raw(audio.S16LE, threeSounds()) }

// TestCommandsOutliveCtrlC lets a command of --exec come to its end that the terminal's Ctrl-C would have killed. The
// commands take longer than what is allowed for writing the results after them.
func TestCommandsOutliveCtrlC(t *testing.T) {
	model := loudness(t)
	t.Chdir(t.TempDir())
	args := append([]string{"--model", model, "--stream", "--format", "ndjson"}, soundFlags...)
	p := programtest.Start(t, nil, append(args, "--exec", `sh -c "touch begun; sleep 1.1; echo >>ended"`)...)
	p.In.Write(said())
	programtest.Wait(t, "a command", func() bool { _, err := os.Stat("begun"); return err == nil })
	p.Signal(syscall.SIGINT, true)
	expect(t, "status", p.Status(endLimit), statusInterrupted)
	lines := parse(t, p.Out.String())
	s := lines[len(lines)-1].Stream
	if s == nil || s.CommandsFailed+s.CommandsCut+s.CommandsLeft != 0 {
		t.Errorf("summary %+v", s)
	}
	expect(t, "commands that ended", len(read(t, "ended")), len(lines)-1)
}

// alive reports whether the process runs whose number a file has.
func alive(t *testing.T, path string) bool {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil { // also where there is no /proc
		return syscall.Kill(pid, 0) == nil
	}
	return !strings.Contains(string(stat), ") Z ")
}

// TestCommandsThatTakeTooLong kills a command with all that it has started, at the end of the sound or at a second
// signal, and reports it.
func TestCommandsThatTakeTooLong(t *testing.T) {
	model := loudness(t)
	for _, twice := range []bool{false, true} {
		t.Chdir(t.TempDir())
		args := append([]string{"--model", model, "--stream", "--format", "ndjson"}, soundFlags...)
		p := programtest.Start(t, nil, append(args, "--exec", `sh -c "sleep 300 & echo $! >child; touch begun; wait"`)...)
		p.In.Write(said())
		programtest.Wait(t, "a command", func() bool { _, err := os.Stat("begun"); return err == nil })
		begun := time.Now()
		if twice {
			p.Signal(syscall.SIGINT, true)
			time.Sleep(300 * time.Millisecond)
			p.Signal(syscall.SIGINT, true)
			expect(t, "status", p.Status(endLimit), statusInterrupted)
			if took := time.Since(begun); took > commandTimeout {
				t.Errorf("a second signal took %v", took)
			}
		} else {
			p.In.Close()
			expect(t, "status", p.Status(endLimit), statusFailed)
			lines := parse(t, p.Out.String())
			s := lines[len(lines)-1].Stream
			if s == nil || s.CommandsFailed != 0 || s.CommandsCut != 1 || s.CommandsLeft != len(lines)-2 {
				t.Errorf("summary %+v of %d events", s, len(lines)-1)
			}
			contains(t, "stderr", p.Err.String(), fmt.Sprintf(" 0 commands failed, 1 cut off, %d left out", len(lines)-2))
		}
		programtest.Wait(t, "the end of what the command started", func() bool { return !alive(t, "child") })
	}
}
