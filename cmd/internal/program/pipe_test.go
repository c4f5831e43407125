package program

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
)

func TestBrokenPipe(t *testing.T) {
	for err, want := range map[error]bool{
		nil: false, io.EOF: false, errors.New("disk full"): false, syscall.ENOSPC: false, os.ErrClosed: false,
		syscall.EPIPE: true, fmt.Errorf("results: %w", &os.PathError{Op: "write", Err: syscall.EPIPE}): true,
	} {
		if got := BrokenPipe(err); got != want {
			t.Errorf("%v: %t", err, got)
		}
	}
	for _, err := range brokenPipes {
		if !BrokenPipe(&os.PathError{Op: "write", Path: "|1", Err: err}) {
			t.Errorf("%v is not recognised", err)
		}
	}
}

// TestBrokenPipeOfTheSystem writes to a pipe whose reader has gone.
func TestBrokenPipeOfTheSystem(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	if _, err := w.Write([]byte("x")); !BrokenPipe(err) {
		t.Errorf("%v is not recognised", err)
	}
}
