package polyphon

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
)

// eventsOf returns the events of a recording, and the error that ended them.
func eventsOf(r *Recognizer, samples []float32, rate int) (list []Event, err error) {
	for e, err := range r.Events(context.Background(), audio.Clip{Rate: rate, Samples: samples}.Source()) {
		if err != nil {
			return list, err
		}
		list = append(list, e)
	}
	return list, nil
}

// checkPlaces holds events to the half seconds that begin at the given times.
func checkPlaces(t *testing.T, name string, got []Event, at []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(at) {
		t.Errorf("%s: %d events, want %d", name, len(got), len(at))
		return
	}
	for i, e := range got {
		if e.Label != "loud" || math.Abs(e.Start-at[i]) > tolerance || e.End < e.Start || e.End > at[i]+0.5+tolerance {
			t.Errorf("%s: event %+v, want one at %g", name, e.Event, at[i])
		}
	}
}

var burstTimes = []float64{1, 3.2, 6}

func TestEventsOfARecording(t *testing.T) {
	r := newRecognizer(t, loudness(), WithSamples())
	samples := bursts(8, burstTimes...)
	got, err := eventsOf(r, samples, testRate)
	if err != nil {
		t.Fatal(err)
	}
	checkPlaces(t, "recording", got, burstTimes, 0.3)
	for _, e := range got {
		first := int(math.Round(e.SamplesStart * testRate))
		if len(e.Samples) < testRate || first > int(e.Start*testRate) ||
			!reflect.DeepEqual(e.Samples, samples[first:first+len(e.Samples)]) {
			t.Errorf("event %+v comes with %d samples from %g s on", e.Event, len(e.Samples), e.SamplesStart)
		}
	}
	silent, err := eventsOf(r, bursts(4), testRate)
	if err != nil || len(silent) > 0 {
		t.Errorf("silence: %d events, %v", len(silent), err)
	}
	// The last word is reported though the recording ends with it, and not beyond its end.
	cut, err := eventsOf(r, samples[:int(3.7*testRate)], testRate)
	if err != nil {
		t.Fatal(err)
	}
	checkPlaces(t, "cut", cut, burstTimes[:2], 0.3)
	if last := cut[len(cut)-1]; last.End > 3.7 || last.Time > 3.7 {
		t.Errorf("an event after the end: %+v", last.Event)
	}
}

func TestEventsEndWithTheSourcesError(t *testing.T) {
	r := newRecognizer(t, loudness())
	broken := errors.New("broken")
	for _, c := range []struct {
		src  audio.Source
		want error
	}{{&failing{50000, broken}, broken}, {&failing{0, io.EOF}, audio.ErrEmpty}} {
		var last error
		for _, err := range r.Events(context.Background(), c.src) {
			last = err
		}
		if !errors.Is(last, c.want) {
			t.Errorf("%v, want %v", last, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err := range r.Events(ctx, &failing{1 << 30, io.EOF}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled context: %v", err)
		}
	}
}

// listen pushes samples in pieces of random length, with push, and returns the events.
func listen(t *testing.T, l *Listener, n int, rng *rand.Rand, push func(from, to int) error) (events []Event) {
	t.Helper()
	for at := 0; at < n; {
		end := min(n, at+rng.IntN(9001))
		if err := push(at, end); err != nil {
			t.Fatal(err)
		}
		at = end
		events = append(events, l.Events()...)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	return append(events, l.Events()...)
}

// TestListenerTakesAnyPieces holds events to one another whatever the pieces, by Push and by Write, for several
// formats.
func TestListenerTakesAnyPieces(t *testing.T) {
	r := newRecognizer(t, loudness())
	mono := bursts(8, burstTimes...)
	for _, f := range []Format{
		{}, {Rate: testRate, Channels: 2}, {Rate: 2 * testRate, Channels: 1, Encoding: audio.F32LE},
		{Rate: 24000, Channels: 3, Encoding: audio.S24LE},
	} {
		channels := max(f.Channels, 1)
		rate := f.Rate
		if rate == 0 {
			rate = testRate
		}
		src, err := audio.Resample(audio.Clip{Rate: testRate, Samples: mono}.Source(), rate)
		if err != nil {
			t.Fatal(err)
		}
		clip, err := audio.ReadAll(src, 0)
		if err != nil {
			t.Fatal(err)
		}
		var interleaved []float32
		for _, v := range clip.Samples {
			for range channels {
				interleaved = append(interleaved, v)
			}
		}
		l, err := r.Listen(f)
		if err != nil {
			t.Fatal(err)
		}
		var first []Event
		for seed := range uint64(3) {
			push := func(from, to int) error { return l.Push(interleaved[from:to]) }
			got := listen(t, l, len(interleaved), nettest.Rand(seed), push)
			checkPlaces(t, "live", got, burstTimes, 0.6)
			if first == nil {
				first = got
			} else if !reflect.DeepEqual(got, first) {
				t.Errorf("%+v: events depend on the pieces", f)
			}
			s := l.Stats()
			if math.Abs(s.Seconds-8) > 0.01 || s.Decisions == 0 || s.Frames == 0 || s.Diverged > 0 {
				t.Errorf("%+v: %+v", f, s)
			}
			if err := l.Reset(); err != nil {
				t.Fatal(err)
			}
		}
		if f.Encoding == audio.F32LE {
			pcm := new(bytes.Buffer)
			binary.Write(pcm, binary.LittleEndian, interleaved)
			raw := pcm.Bytes()
			write := func(from, to int) error { _, err := l.Write(raw[from:to]); return err }
			got := listen(t, l, len(raw), nettest.Rand(5), write)
			if !reflect.DeepEqual(got, first) {
				t.Errorf("%+v: bytes give other events than samples", f)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestGroupAnswersAsEachAlone holds a group's members, which begin at different times, to a listener of their own.
func TestGroupAnswersAsEachAlone(t *testing.T) {
	r := newRecognizer(t, loudness())
	sounds := [][]float32{bursts(8, burstTimes...), bursts(5, 2), bursts(6)}
	want := make([][]Event, len(sounds))
	for i, s := range sounds {
		l, err := r.Listen(Format{})
		if err != nil {
			t.Fatal(err)
		}
		want[i] = listen(t, l, len(s), nettest.Rand(1), func(from, to int) error { return l.Push(s[from:to]) })
		l.Close()
	}
	g, err := r.ListenGroup(len(sounds), Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	got := make([][]Event, len(sounds))
	take := func() {
		if err := g.Compute(); err != nil {
			t.Fatal(err)
		}
		for _, e := range g.Events() {
			got[e.Sound] = append(got[e.Sound], e.Event)
		}
	}
	const piece = 1600
	for at := 0; at < len(sounds[0])+2*piece; at += piece {
		for i, s := range sounds {
			switch from := at - i*piece; {
			case from < 0 || from > len(s):
			case from+piece > len(s):
				if err := errors.Join(g.Push(i, s[from:]), g.Flush(i)); err != nil {
					t.Fatal(err)
				}
			default:
				if err := g.Push(i, s[from:from+piece]); err != nil {
					t.Fatal(err)
				}
			}
		}
		take()
	}
	for i := range sounds {
		if err := g.Flush(i); err != nil {
			t.Fatal(err)
		}
	}
	take()
	for i := range sounds {
		checkPlaces(t, "group", got[i], map[int][]float64{0: burstTimes, 1: {2}, 2: nil}[i], 0.6)
		if len(got[i]) != len(want[i]) {
			t.Fatalf("sound %d: %d events, alone %d", i, len(got[i]), len(want[i]))
		}
		for k := range got[i] {
			a, b := got[i][k], want[i][k]
			if a.Label != b.Label || math.Abs(a.Start-b.Start) > 1e-9 || math.Abs(a.P-b.P) > 1e-5 {
				t.Errorf("sound %d: %+v, alone %+v", i, a, b)
			}
		}
	}
	if err := g.Push(0, sounds[0]); !errors.Is(err, ErrEnded) {
		t.Errorf("a sound goes on after its end: %v", err)
	}
}

func TestFollowReadsAReader(t *testing.T) {
	r := newRecognizer(t, loudness())
	l, err := r.Listen(Format{Encoding: audio.F32LE})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pcm := new(bytes.Buffer)
	binary.Write(pcm, binary.LittleEndian, bursts(8, burstTimes...))
	var got []Event
	for e, err := range l.Follow(pcm) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	checkPlaces(t, "Follow", got, burstTimes, 0.6)
	if err := l.Reset(); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	var last error
	for _, last = range l.Follow(io.MultiReader(bytes.NewReader(make([]byte, 99999)), &brokenReader{broken})) {
	}
	if !errors.Is(last, broken) {
		t.Errorf("a reader that fails: %v", last)
	}
}

type brokenReader struct{ err error }

func (b *brokenReader) Read([]byte) (int, error) { return 0, b.err }

func TestListenRefusesImpossibleFormats(t *testing.T) {
	r := newRecognizer(t, loudness())
	for _, f := range []Format{{Rate: -1}, {Rate: 1e7}, {Rate: 100}, {Channels: 1000}, {Channels: -1}, {Encoding: 99}} {
		if _, err := r.Listen(f); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	for _, n := range []int{0, -1, 1 << 20} {
		if _, err := r.ListenGroup(n, Format{}); err == nil {
			t.Errorf("a group of %d", n)
		}
	}
}

func TestListenerCountsDivergedDecisions(t *testing.T) {
	r := newRecognizer(t, diverging())
	l, err := r.Listen(Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Push(bursts(3, 1)); err != nil {
		t.Fatal(err)
	}
	if s := l.Stats(); s.Diverged == 0 || s.Diverged > s.Decisions || !errors.Is(s.FirstErr, ErrDiverged) {
		t.Errorf("%+v", s)
	}
}

// faulty is a device whose products fail once failing is set, as a GPU's do.
type faulty struct {
	device.Trainer
	failing *bool
}

func (f faulty) Serial() device.Device { return f }

func (f faulty) MatMul(dst, a device.View, w *device.Packed, e device.Epilogue) {
	if *f.failing {
		panic(&device.Fault{Kernel: "matmul", Err: errors.New("illegal address")})
	}
	f.Trainer.MatMul(dst, a, w, e)
}

// TestDevicesFailureIsAnError makes a device fail in the middle of every kind of call.
func TestDevicesFailureIsAnError(t *testing.T) {
	failing := new(bool)
	r := newRecognizer(t, loudness(), WithDevice(faulty{device.Ref(), failing}))
	l, err := r.Listen(Format{})
	if err != nil {
		t.Fatal(err)
	}
	sound := bursts(3, 1)
	if err := l.Push(sound); err != nil {
		t.Fatal(err)
	}
	*failing = true
	_, long := r.Classify(sound, testRate)
	_, short := r.Classify(sound[:testRate], testRate)
	_, events := eventsOf(r, sound, testRate)
	pushed := l.Push(sound)
	for i, err := range []error{long, short, events, pushed, l.Push(sound[:10]), l.Flush(), l.Reset()} {
		if fault := (*device.Fault)(nil); !errors.As(err, &fault) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	*failing = false
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Classify(sound, testRate); err != nil { // no lock is held, nothing is lost
		t.Error(err)
	}
}

// TestOperatingPointCanBeReplaced uses a threshold that no probability of a smoothed window reaches.
func TestOperatingPointCanBeReplaced(t *testing.T) {
	c := detect.Default(1)
	c.Threshold = 1
	r := newRecognizer(t, loudness(), WithDetection(c))
	got, err := eventsOf(r, bursts(8, burstTimes...), testRate)
	if err != nil || len(got) > 0 {
		t.Errorf("threshold 1: %d events, %v", len(got), err)
	}
}

// TestListenerKeepsTheLatestEvents leaves events with a Listener, and sound with a group that does not compute.
func TestListenerKeepsTheLatestEvents(t *testing.T) {
	r := newRecognizer(t, loudness())
	l, err := r.Listen(Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tracker := l.group.trackers[0]
	if tracker.maxEvents != maxEvents {
		t.Errorf("%d events wait, want %d", tracker.maxEvents, maxEvents)
	}
	tracker.maxEvents = 2
	if err := l.Push(bursts(8, burstTimes...)); err != nil {
		t.Fatal(err)
	}
	if n := l.Stats().Dropped; n != 1 {
		t.Errorf("%d events dropped, want 1", n)
	}
	checkPlaces(t, "what is left", l.Events(), burstTimes[1:], 0.6)

	g, err := r.ListenGroup(2, Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for range 20 {
		if err := g.Push(1, bursts(1)); err != nil {
			t.Fatal(err)
		}
		if g.waiting > 2*maxWaiting {
			t.Fatalf("%d samples wait", g.waiting)
		}
	}
	if s := g.Stats(1); s.Decisions == 0 || s.Seconds != 20 {
		t.Errorf("after 20 s without Compute: %+v", s)
	}
}
