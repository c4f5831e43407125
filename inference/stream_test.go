package inference

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/internal/race"
	"github.com/polyphon/polyphon/polynet"
	"pgregory.net/rapid"
)

// onePass is what the equations give for the whole sound of a stream that has ended.
type onePass struct {
	m       *polynet.Model
	samples int
	rows    nettest.Rows // logits
	largest float64
}

func newOnePass(t rapid.TB, m *polynet.Model, samples []float32) onePass {
	t.Helper()
	e, err := features.New(m.Features)
	if err != nil {
		t.Fatal(err)
	}
	rows := nettest.RowLogits(m, e.Rows(nil, samples, e.Scratch()))
	s := onePass{m: m, samples: len(samples), rows: rows}
	for _, row := range s.rows {
		for _, v := range row {
			s.largest = max(s.largest, math.Abs(v))
		}
	}
	return s
}

// ends returns where the decisions' windows end.
func (s onePass) ends(first, hop int) []int {
	var list []int
	for end := first; end < s.samples; end += hop {
		list = append(list, end)
	}
	if s.samples > 0 {
		list = append(list, s.samples)
	}
	return list
}

// p returns the probabilities for the window that ends at a sample, by the mean of the rows whose frames lie in it.
func (s onePass) p(end int) []float64 {
	stride := s.m.Net.Program().Reach().Stride
	first, last := -1, -1
	for r := range s.rows {
		at := r * stride * s.m.Features.Hop
		if at <= end {
			last = r
		}
		if at >= end-s.m.WindowSamples() && first < 0 {
			first = r
		}
	}
	if first < 0 || first > last {
		first = last
	}
	p := s.rows.Mean(first, last)
	polynet.Softmax(p, s.m.Temperature)
	return p
}

// check compares all decisions of a stream.
func (s onePass) check(t rapid.TB, got []Decision, first, hop int) {
	t.Helper()
	ends := s.ends(first, hop)
	if len(got) != len(ends) {
		t.Fatalf("%d decisions about %d samples, want %d", len(got), s.samples, len(ends))
	}
	rate := float64(s.m.Features.Rate)
	for i, end := range ends {
		d := got[i]
		if start := max(0, end-s.m.WindowSamples()); d.End != float64(end)/rate || d.Start != float64(start)/rate {
			t.Fatalf("decision %d is about %g to %g s, want %d to %d samples", i, d.Start, d.End, start, end)
		}
		if !(d.Used >= d.End && d.Used <= float64(s.samples)/rate) {
			t.Fatalf("decision about %g to %g s of %g s", d.Start, d.End, d.Used)
		}
		if !d.Gated {
			nearP(t, fmt.Sprintf("decision %d of %d", i, len(ends)), d.P, s.p(end), 1e-4*s.largest/s.m.Temperature+1e-6)
		}
	}
}

func nearP(t rapid.TB, name string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: probabilities %v, want %v", name, got, want)
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tolerance) {
			t.Fatalf("%s: probabilities %v, want %v", name, got, want)
		}
	}
}

// decisionsAbout pushes samples in pieces whose lengths chunk gives, ends the sound and returns all decisions.
func decisionsAbout(t rapid.TB, s stream, samples []float32, chunk func() int) []Decision {
	t.Helper()
	var list []Decision
	for len(samples) > 0 {
		n := min(chunk(), len(samples))
		s.Push(samples[:n])
		samples = samples[n:]
		list = dueDecisions(t, s, list)
	}
	s.Flush()
	return dueDecisions(t, s, list)
}

// dueDecisions appends the decisions that are due to list.
func dueDecisions(t rapid.TB, s stream, list []Decision) []Decision {
	t.Helper()
	for {
		d, ok, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return list
		}
		d.P = slices.Clone(d.P)
		list = append(list, d)
	}
}

// drawConfig draws a network of any kind.
func drawConfig(t *rapid.T) polynet.Config {
	kernel := func(name string) (k, ahead int) {
		k = rapid.SampledFrom([]int{1, 2, 3, 5, 9}).Draw(t, name+" kernel")
		return k, rapid.SampledFrom([]int{0, k / 2, k - 1}).Draw(t, name+" ahead")
	}
	width := func(name string) int { return rapid.SampledFrom([]int{3, 8, 9, 16}).Draw(t, name+" width") }
	c := polynet.Config{Inputs: 7, Classes: 3, Block: rapid.SampledFrom(polynet.BlockKinds()).Draw(t, "kind")}
	c.Degree = nettest.Degree(c.Block)
	k, ahead := kernel("stem")
	c.Stem = polynet.Stem{
		Width: width("stem"), Kernel: k, Ahead: ahead, Stride: rapid.IntRange(1, 3).Draw(t, "stem stride"),
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "stages") {
		name := fmt.Sprintf("stage %d", i)
		k, ahead := kernel(name)
		c.Stages = append(c.Stages, polynet.Stage{
			Width: width(name), Blocks: rapid.IntRange(1, 2).Draw(t, name+" blocks"), Kernel: k, Ahead: ahead,
			Stride: rapid.IntRange(1, 3).Draw(t, name+" stride"),
		})
	}
	return c
}

// drawStream draws a model and how to stream it.
func drawStream(t *rapid.T, devices []device.Device) (*polynet.Model, StreamOptions, device.Device) {
	m := nettest.RandomModel(drawConfig(t), nettest.Rand(rapid.Uint64().Draw(t, "weights")))
	m.Window = rapid.Float64Range(0.01, 0.7).Draw(t, "window")
	m.Norm.Limit = rapid.SampledFrom([]float32{0, 1}).Draw(t, "limit")
	tame(m)
	m.Features.Hop = rapid.SampledFrom([]int{160, 201, 480}).Draw(t, "feature hop")
	return m, StreamOptions{
		Hop:  rapid.SampledFrom([]float64{0, 0, 0.3, 1}).Draw(t, "hop") * m.Window,
		Step: rapid.SampledFrom([]float64{0, 0.001, 0.08, 1}).Draw(t, "step"),

		WholeWindows: rapid.Bool().Draw(t, "whole windows"),
	}, rapid.SampledFrom(devices).Draw(t, "device")
}

// drawSound draws up to ten seconds of noise.
func drawSound(t *rapid.T) []float32 {
	rng := nettest.Rand(rapid.Uint64().Draw(t, "sound"))
	longest := rapid.SampledFrom([]int{1, 1000, 10000, 30000, 60000, 160000}).Draw(t, "longest")
	return noise(rng, rng.IntN(longest))
}

// drawChunks draws a source of chunk lengths.
func drawChunks(t *rapid.T) func() int {
	rng := nettest.Rand(rapid.Uint64().Draw(t, "chunks"))
	most := rapid.SampledFrom([]int{1, 100, 1000, 4000, 16000, 160000}).Draw(t, "longest chunk")
	return func() int { return 1 + rng.IntN(most) }
}

// TestStreamIsOnePass checks every decision of random streams, from the first to the last, however the sound is cut
// into pieces, against the equations applied to the whole sound, and that Reset makes a stream new.
func TestStreamIsOnePass(t *testing.T) {
	devices := []device.Device{device.Ref(), oneThread(t)}
	rapid.Check(t, func(t *rapid.T) {
		m, o, d := drawStream(t, devices)
		s, samples, chunks := newStream(t, newPlan(t, m, d), o), drawSound(t), drawChunks(t)
		if rapid.Bool().Draw(t, "used before") {
			s.Push(noise(nettest.Rand(1), rapid.SampledFrom([]int{1, 9999, 60000}).Draw(t, "samples before")))
			dueDecisions(t, s, nil)
			if rapid.Bool().Draw(t, "to its end") {
				s.Flush()
				dueDecisions(t, s, nil)
			}
			s.Reset()
		}
		got := decisionsAbout(t, s, samples, chunks)
		if len(samples) == 0 {
			if len(got) > 0 {
				t.Fatalf("decisions %v about nothing", got)
			}
			return
		}
		in := s.Group.streams[0]
		newOnePass(t, m, samples).check(t, got, in.first, in.hop)
		want := StreamStats{Samples: len(samples), Frames: in.frames(), Decisions: len(got)}
		if stats := s.Stats(); stats != want {
			t.Fatalf("stats %+v, want %+v", stats, want)
		}
	})
}

// TestStreamEndsAsClips checks a stream that ends within a window against one run over the whole sound.
func TestStreamEndsAsClips(t *testing.T) {
	d := oneThread(t)
	for _, kind := range polynet.BlockKinds() {
		for i, config := range nettest.Configs(kind) {
			m := nettest.RandomModel(config, nettest.Rand(uint64(i)))
			tame(m)
			m.Window = 3
			p := newPlan(t, m, d)
			s := newStream(t, p, StreamOptions{})
			for _, n := range []int{1, 159, 160, 9999, 48000} {
				samples := noise(nettest.Rand(uint64(n)), n)
				s.Reset()
				list := decisionsAbout(t, s, samples, func() int { return 700 })
				clip := p.Clips(1, m.Features.Frames(n))
				want := make([]float64, config.Classes)
				for i, v := range clip.RunSamples(samples, 1) {
					want[i] = float64(v)
				}
				polynet.Softmax(want, m.Temperature)
				nearP(t, fmt.Sprintf("%s net %d, %d samples", kind, i, n), list[len(list)-1].P, want, 1e-4)
			}
		}
	}
}

// TestStreamsShareAPlan runs streams at the same time, of different steps and sounds.
func TestStreamsShareAPlan(t *testing.T) {
	m := configModel(polynet.Pi1x1, 1)
	d, err := device.CPU(2)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlan(t, m, d)
	done := make(chan error)
	for i := range 6 {
		samples := noise(nettest.Rand(uint64(i)), 20000)
		want := newOnePass(t, m, samples)
		go func() {
			done <- func() error {
				s, err := openStream(p, StreamOptions{Step: 0.1 * float64(1+i%3)})
				if err != nil {
					return err
				}
				list := decisionsAbout(t, s, samples, func() int { return 100 * (i + 1) })
				if !t.Failed() {
					want.check(t, list, s.Group.streams[0].first, s.Group.streams[0].hop)
				}
				return nil
			}()
		}()
	}
	for range 6 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestStreamComputesInTime checks when a decision comes: with the sample that completes the step its lookahead ends in.
func TestStreamComputesInTime(t *testing.T) {
	m := configModel(polynet.Linear, 1)
	reach := m.Net.Program().Reach()
	for _, step := range []float64{0, 0.06, 0.12} {
		s := newStream(t, newPlan(t, m, device.Ref()), StreamOptions{Step: step})
		step, pushed := s.Group.streams[0].step, 0
		for range 6000 {
			const n = 7
			s.Push(make([]float32, n))
			pushed += n
			for {
				d, ok, err := s.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				due := int(math.Round(d.Used * 16000))
				if pushed < due || pushed-n >= due {
					t.Fatalf("decision about %g s came with sample %d, and is to come with %d", d.End, pushed, due)
				}
				frames := (int(math.Round(d.End*16000))/160 + reach.After) + 1
				if due > (frames+step-2)*160+240 || step%reach.Stride != 0 {
					t.Fatalf("decision about %g s came with sample %d, %d frames decide", d.End, due, frames)
				}
			}
		}
	}
}

func TestStreamRefusesImpossibleOptions(t *testing.T) {
	p := newPlan(t, configModel(polynet.Linear, 5), device.Ref()) // of windows of 0.2 s
	inf, nan := math.Inf(1), math.NaN()
	for _, o := range []StreamOptions{
		{Hop: -1}, {Hop: 0.21}, {Hop: nan}, {Hop: inf}, {Step: -1}, {Step: 10.5}, {Step: nan}, {Step: inf},
		{Gate: 1}, {Gate: nan}, {Gate: -inf}, {Gate: inf},
	} {
		if _, err := openStream(p, o); !errors.Is(err, polynet.ErrConfig) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, n := range []int{-1, 0, maxStreams + 1} {
		if _, err := p.Group(n, StreamOptions{}); !errors.Is(err, polynet.ErrConfig) {
			t.Errorf("a group of %d streams: %v", n, err)
		}
	}
}

func TestStreamReportsDivergence(t *testing.T) {
	m := configModel(polynet.Pi, 5)
	for i := range m.Norm.Std {
		m.Norm.Std[i] = 1e-30
	}
	s := newStream(t, newPlan(t, m, device.Ref()), StreamOptions{})
	s.Push(noise(nettest.Rand(1), 9000))
	for range 3 {
		if d, ok, err := s.Next(); !ok || !errors.Is(err, ErrDiverged) || d.P != nil {
			t.Fatalf("decision %+v, %v, error %v", d, ok, err)
		}
	}
}

// overflowInSound makes a mel overflow where there is sound.
func overflowInSound(m *polynet.Model) {
	m.Norm.Std[0] = 1e-38
	m.Norm.Mean[0] = float32(math.Log(m.Features.Floor))
}

// TestStreamRecovers checks that a network that diverged answers again when what made it diverge has passed.
func TestStreamRecovers(t *testing.T) {
	m := configModel(polynet.Linear, 5)
	overflowInSound(m)
	s := newStream(t, newPlan(t, m, device.Ref()), StreamOptions{})
	samples := append(noise(nettest.Rand(1), 2000), make([]float32, 30000)...)
	s.Push(samples)
	var last error
	diverged := 0
	for {
		_, ok, err := s.Next()
		if !ok {
			break
		}
		if last = err; err != nil {
			diverged++
		}
	}
	if diverged == 0 || last != nil {
		t.Errorf("%d decisions diverged, the last one: %v", diverged, last)
	}
}

// TestStreamDoesNotAllocate checks the steady state, with a gate and without one.
func TestStreamDoesNotAllocate(t *testing.T) {
	need.Unraced(t, "pools drop what they are given")
	for _, kind := range polynet.BlockKinds() {
		for _, gate := range []float64{0, -10, -60} {
			m := configModel(kind, 1)
			tame(m)
			s := newStream(t, newPlan(t, m, oneThread(t)), StreamOptions{Gate: gate})
			samples := noise(nettest.Rand(1), 1600)
			push := func() { pushAndTake(t, s, samples) }
			for range 20 {
				push()
			}
			if n := testing.AllocsPerRun(50, push); n != 0 {
				t.Errorf("%s, gate %g: a push allocates %g times", kind, gate, n)
			}
		}
	}
}

// TestStreamHasNoEnd checks that a stream that has run for hours gives what a new one gives for the latest sound, and
// that its memory has not grown.
func TestStreamHasNoEnd(t *testing.T) {
	hours := 2.0
	if testing.Short() || race.Enabled() {
		hours = 0.05
	}
	p := newPlan(t, configModel(polynet.Pi, 1), oneThread(t))
	old := newStream(t, p, StreamOptions{})
	minute := noise(nettest.Rand(1), 60*16000)
	pushAndTake(t, old, minute)
	pushAndTake(t, old, minute) // with what is left of the first one
	before := inUse()
	for range int(60*hours) - 2 {
		pushAndTake(t, old, minute)
	}
	if grown := inUse() - before; grown > 1<<14 {
		t.Errorf("memory grew by %d bytes", grown)
	}
	fresh := newStream(t, p, StreamOptions{})
	pushAndTake(t, fresh, minute)
	tail := noise(nettest.Rand(2), 16000)
	old.Push(tail)
	fresh.Push(tail)
	got, want := dueDecisions(t, old, nil), dueDecisions(t, fresh, nil)
	if len(got) == 0 || len(got) != len(want) {
		t.Fatalf("%d decisions, a new stream gives %d", len(got), len(want))
	}
	for i := range got {
		if offset := got[i].End - want[i].End; math.Abs(offset-60*math.Floor(60*hours-1)) > 1e-6 {
			t.Errorf("decision about %g s, of a new stream about %g s", got[i].End, want[i].End)
		}
		nearP(t, "decision", got[i].P, want[i].P, 1e-12)
	}
}

// pushAndTake pushes samples and takes all decisions.
func pushAndTake(t rapid.TB, s stream, samples []float32) {
	t.Helper()
	s.Push(samples)
	for ok := true; ok; {
		var err error
		if _, ok, err = s.Next(); err != nil {
			t.Fatal(err)
		}
	}
}

// inUse returns the bytes in use, pools emptied.
func inUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
