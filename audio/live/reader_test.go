package live

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
	"testing/synctest"
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

// TestReaderReportsPauses has a source bring nothing for a while, by a clock that is not real.
func TestReaderReportsPauses(t *testing.T) {
	type step struct {
		wait  time.Duration // before the piece
		bytes int
	}
	for _, c := range []struct {
		name    string
		steps   []step
		reports []string
		resumed []bool // after each piece
	}{
		{"without pauses", []step{{0, 100}, {125 * time.Millisecond, 100}, {125 * time.Millisecond, 100}}, nil,
			[]bool{false, false, false}},
		{"a short pause", []step{{0, 100}, {4 * time.Second, 100}, {0, 100}}, nil, []bool{false, true, false}},
		{"a pause", []step{{0, 100}, {12 * time.Second, 100}, {0, 100}},
			[]string{"5s stopped", "12s goes on after 12s"}, []bool{false, true, false}},
		{"two pauses", []step{{0, 100}, {6 * time.Second, 100}, {time.Second, 100}, {time.Hour, 100}},
			[]string{"5s stopped", "6s goes on after 6s", "12s stopped", "1h0m7s goes on after 1h0m0s"},
			[]bool{false, true, true, true}},
		{"a late beginning", []step{{7 * time.Second, 100}},
			[]string{"5s stopped", "7s goes on after 7s"}, []bool{true}},
		{"no sound at all", []step{{time.Minute, 0}}, []string{"5s stopped"}, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			r, w := io.Pipe()
			a := NewReader(t.Context(), r)
			var reports []string
			report := func(what string) { reports = append(reports, time.Since(begin).String()+" "+what) }
			a.Watch(5*time.Second, func() { report("stopped") },
				func(after time.Duration) { report("goes on after " + after.String()) })
			go func() {
				for _, s := range c.steps {
					time.Sleep(s.wait)
					w.Write(make([]byte, s.bytes))
				}
				w.Close()
			}()
			var resumed []bool
			for {
				n, err := a.Read(make([]byte, 1000))
				if err != nil {
					break
				}
				at, ok := a.Resumed()
				if resumed = append(resumed, ok); n != 100 || !at.Equal(time.Now()) {
					t.Errorf("%s: %d bytes at %v", c.name, n, at.Sub(begin))
				}
				if _, again := a.Resumed(); again {
					t.Errorf("%s: a pause is reported twice", c.name)
				}
			}
			if !slices.Equal(reports, c.reports) || !slices.Equal(resumed, c.resumed) {
				t.Errorf("%s: %q, resumed %v", c.name, reports, resumed)
			}
		})
	}
}

// TestReaderCountsFromTheLatestArrival has the reader of a source be busy while nothing arrives.
func TestReaderCountsFromTheLatestArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		a := NewReader(t.Context(), r)
		begin, stopped := time.Now(), time.Duration(0)
		a.Watch(5*time.Second, func() { stopped = time.Since(begin) }, func(time.Duration) {})
		go func() {
			w.Write([]byte("abc"))
			time.Sleep(20 * time.Second)
			w.Close()
		}()
		a.Read(make([]byte, 3))
		time.Sleep(4 * time.Second)
		a.Read(make([]byte, 3))
		if stopped != 5*time.Second {
			t.Errorf("the source stopped after %v", stopped)
		}
	})
}
