package live

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"
)

func TestReaderPassesOnEverything(t *testing.T) {
	data := make([]byte, 3*bufferBytes+17)
	for i := range data {
		data[i] = byte(rand.IntN(256))
	}
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(data), "in halves": iotest.HalfReader(bytes.NewReader(data)),
		"with the error": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		got, err := io.ReadAll(NewReader(t.Context(), r))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(data), err)
		}
	}
	broken := errors.New("broken")
	failing := io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken))
	if got, err := io.ReadAll(NewReader(t.Context(), failing)); err != broken || !bytes.Equal(got, data) {
		t.Errorf("a broken reader: %d bytes, %v", len(got), err)
	}
}

// TestReaderReadsAtOnce reads what has been written, before there is more.
func TestReaderReadsAtOnce(t *testing.T) {
	r, w := io.Pipe()
	a := NewReader(t.Context(), r)
	buffer := make([]byte, 1000)
	for range 3 * buffers {
		before := time.Now()
		go w.Write([]byte("abc"))
		if n, err := a.Read(buffer); n != 3 || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if at, ok := a.CaughtUp(); !ok || at.Before(before) {
			t.Errorf("caught up: %v, %v", at, ok)
		}
	}
	if a.Flooded() {
		t.Error("flooded by three bytes")
	}
	go w.Write(make([]byte, 3*bufferBytes))
	a.Read(buffer)
	if _, ok := a.CaughtUp(); ok {
		t.Error("caught up in the middle of a buffer")
	}
	w.Close()
}

// flood is a source without an end that counts what is taken.
type flood struct{ taken chan int }

func (f flood) Read(p []byte) (int, error) {
	f.taken <- len(p)
	return len(p), nil
}

// TestReaderIsBounded leaves a source alone whose reader is busy.
func TestReaderIsBounded(t *testing.T) {
	f := flood{make(chan int, 1000)}
	a := NewReader(t.Context(), f)
	a.Read(make([]byte, 1))
	time.Sleep(50 * time.Millisecond)
	if n := len(f.taken); n > buffers+1 {
		t.Errorf("%d buffers were read ahead", n)
	}
	io.CopyN(io.Discard, a, 20*bufferBytes)
	if !a.Flooded() {
		t.Error("not flooded by a source without an end")
	}
}

func TestReaderEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := io.Pipe() // nobody writes
	a := NewReader(ctx, r)
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := a.Read(make([]byte, 1)); err != context.Canceled {
		t.Errorf("error %v", err)
	}
	if _, err := a.Read(make([]byte, 1)); err != context.Canceled {
		t.Errorf("then %v", err)
	}
}
