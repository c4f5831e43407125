//go:build unix

package programtest

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that runs in a process group of its own.
type Process struct {
	In       io.WriteCloser // its standard input
	Out, Err Buffer
	t        *testing.T
	cmd      *exec.Cmd
	ended    chan struct{}
}

// Buffer collects output while it is written.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns what has been written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Start runs the program. Its standard input is a pipe, as is its standard output, to which out is the other end; nil
// collects it in Out.
func Start(t *testing.T, out io.Writer, args ...string) *Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{t: t, cmd: exec.Command(self, args...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), variable+"=1")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout, p.cmd.Stderr = out, &p.Err
	if out == nil {
		p.cmd.Stdout = &p.Out
	}
	if p.In, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
	})
	return p
}

// Signal sends a signal to the program, or, as a terminal does, to its process group.
func (p *Process) Signal(s syscall.Signal, group bool) {
	p.t.Helper()
	pid := p.cmd.Process.Pid
	if group {
		pid = -pid
	}
	if err := syscall.Kill(pid, s); err != nil {
		p.t.Fatal(err)
	}
}

// Status waits until the program has ended and returns its exit status, -1 where a signal killed it. It is an error
// when that takes longer than the limit.
func (p *Process) Status(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(limit):
		p.t.Fatalf("%q has not ended after %v; it said %q", p.cmd.Args[1:], limit, p.Err.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// EndSignals returns the two signals besides SIGINT that end programs: SIGTERM twice where tests run under nohup, which
// has SIGHUP ignored.
func EndSignals() []syscall.Signal {
	if signal.Ignored(syscall.SIGHUP) {
		return []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}
	}
	return []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP}
}

// Interrupt starts the program, sends it a signal some time later, as a terminal does, and waits for its end. Where it
// is killed before it handles signals, since the machine is busy, that is tried again with more time.
func Interrupt(t *testing.T, s syscall.Signal, limit time.Duration, args ...string) *Process {
	t.Helper()
	for wait := 300 * time.Millisecond; ; wait *= 2 {
		p := Start(t, nil, args...)
		time.Sleep(wait)
		p.Signal(s, true)
		if p.Status(limit) >= 0 || wait > 5*time.Second {
			return p
		}
	}
}

// Wait waits until a condition holds, for a minute at most.
func Wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// FIFO makes a named pipe in a new folder.
func FIFO(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Hidden lists the files below a folder that an atomic write has left. The index of results is none of them.
func Hidden(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		name := filepath.Base(path)
		if strings.HasPrefix(name, ".polyphon-") && !strings.HasPrefix(name, ".polyphon-index") {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
