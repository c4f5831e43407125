package inference

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/race"
	"pgregory.net/rapid"
)

// streamed is a sound of a stream that has ended, as the equations have it.
type streamed struct {
	m       *Model
	samples int
	rows    plainRows // logits of the last stage's rows
	largest float64
}

func newStreamed(t rapid.TB, m *Model, samples []float32) streamed {
	t.Helper()
	e, err := features.New(m.Features)
	if err != nil {
		t.Fatal(err)
	}
	s := streamed{m: m, samples: len(samples), rows: plainNet{m}.rowLogits(e.Rows(nil, samples, e.Scratch()))}
	for _, row := range s.rows {
		for _, v := range row {
			s.largest = max(s.largest, math.Abs(v))
		}
	}
	return s
}

// ends returns where the decisions' windows end.
func (s streamed) ends(begin, hop int) []int {
	var list []int
	for end := begin; end < s.samples; end += hop {
		list = append(list, end)
	}
	if s.samples > 0 {
		list = append(list, s.samples)
	}
	return list
}

// p returns the probabilities for the window that ends at a sample, by the mean of the rows whose frames lie in it.
func (s streamed) p(end int) []float64 {
	_, _, stride := s.m.Net.reach()
	first, last := -1, -1
	for r := range s.rows {
		at := r * stride * s.m.Features.Hop
		if at <= end {
			last = r
		}
		if at >= end-s.m.windowSamples() && first < 0 {
			first = r
		}
	}
	if first < 0 || first > last {
		first = last
	}
	p := s.rows.mean(first, last)
	Softmax(p, s.m.Temperature)
	return p
}

// check compares all decisions of a stream.
func (s streamed) check(t rapid.TB, got []Decision, begin, hop int) {
	t.Helper()
	ends := s.ends(begin, hop)
	if len(got) != len(ends) {
		t.Fatalf("%d decisions about %d samples, want %d", len(got), s.samples, len(ends))
	}
	rate := float64(s.m.Features.Rate)
	for i, end := range ends {
		d := got[i]
		if start := max(0, end-s.m.windowSamples()); d.End != float64(end)/rate || d.Start != float64(start)/rate {
			t.Fatalf("decision %d is about %g to %g s, want %d to %d samples", i, d.Start, d.End, start, end)
		}
		if !(d.Heard >= d.End && d.Heard <= float64(s.samples)/rate) {
			t.Fatalf("decision about %g to %g s at %g s", d.Start, d.End, d.Heard)
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

// hear pushes samples in pieces whose lengths chunk gives, ends the sound and returns all decisions.
func hear(t rapid.TB, s *Stream, samples []float32, chunk func() int) []Decision {
	t.Helper()
	var list []Decision
	for len(samples) > 0 {
		n := min(chunk(), len(samples))
		s.Push(samples[:n])
		samples = samples[n:]
		list = decisions(t, s, list)
	}
	s.Flush()
	return decisions(t, s, list)
}

// decisions appends the decisions that are due.
func decisions(t rapid.TB, s *Stream, list []Decision) []Decision {
	t.Helper()
	for {
		d, ok, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return list
		}
		d.P = append([]float64(nil), d.P...)
		list = append(list, d)
	}
}

func newStream(t rapid.TB, m *Model, d device.Trainer, o StreamOptions) *Stream {
	t.Helper()
	c, err := NewClassifier(m, d)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Stream(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tame keeps a deep random network from growing beyond all bounds, as products of products do.
func (m *Model) tame() {
	for name, w := range m.Weights {
		values := w.Data().([]float32)
		switch parts := nestedFactor.FindStringSubmatch(name); {
		case strings.HasPrefix(name[strings.LastIndex(name, ".")+1:], "scale"): // of a product or of one of ccp's factors
			values[0] *= 0.03
		case !strings.HasPrefix(string(m.Net.Block), "ncp") || parts == nil:
		case parts[2] == "weight": // factors of about 1
			for i := range values {
				values[i] *= 0.03
			}
		case parts[2] == "bias":
			for i := range values {
				values[i] = 1
			}
		}
	}
}

// nestedFactor matches the weight and the bias of the norms behind A and S of degree 2 and more.
var nestedFactor = regexp.MustCompile(`^stages.*\.(norm[2-9]|nest[2-9]\.norm)\.(weight|bias)$`)

// drawConfig draws a network of any kind.
func drawConfig(t *rapid.T) Config {
	kernel := func(name string) (k, ahead int) {
		k = rapid.SampledFrom([]int{1, 2, 3, 5, 9}).Draw(t, name+" kernel")
		return k, rapid.SampledFrom([]int{0, k / 2, k - 1}).Draw(t, name+" ahead")
	}
	width := func(name string) int { return rapid.SampledFrom([]int{3, 8, 9, 16}).Draw(t, name+" width") }
	c := Config{Inputs: 7, Classes: 3, Block: rapid.SampledFrom(BlockKinds()).Draw(t, "kind")}
	c.Degree = someDegree(c.Block)
	k, ahead := kernel("stem")
	c.Stem = Stem{Width: width("stem"), Kernel: k, Ahead: ahead, Stride: rapid.IntRange(1, 3).Draw(t, "stem stride")}
	for i := range rapid.IntRange(1, 3).Draw(t, "stages") {
		name := fmt.Sprintf("stage %d", i)
		k, ahead := kernel(name)
		c.Stages = append(c.Stages, Stage{
			Width: width(name), Blocks: rapid.IntRange(1, 2).Draw(t, name+" blocks"), Kernel: k, Ahead: ahead,
			Stride: rapid.IntRange(1, 3).Draw(t, name+" stride"),
		})
	}
	if c.WholeClip() {
		c.Stages = c.Stages[:1] // of which the norms are over the batch
	}
	return c
}

// drawStream draws a model and how to stream it.
func drawStream(t *rapid.T, devices []device.Trainer) (*Model, StreamOptions, device.Trainer) {
	m := randomModel(drawConfig(t), seeded(rapid.Uint64().Draw(t, "weights")))
	m.Window = rapid.Float64Range(0.01, 0.7).Draw(t, "window")
	m.Norm.Limit = rapid.SampledFrom([]float32{0, 1}).Draw(t, "limit")
	m.tame()
	m.Features.Hop = rapid.SampledFrom([]int{160, 201, 480}).Draw(t, "feature hop")
	return m, StreamOptions{
		Hop:  rapid.SampledFrom([]float64{0, 0, 0.3, 1}).Draw(t, "hop") * m.Window,
		Step: rapid.SampledFrom([]float64{0, 0.001, 0.08, 1}).Draw(t, "step"),
	}, rapid.SampledFrom(devices).Draw(t, "device")
}

// drawSound draws up to ten seconds of noise.
func drawSound(t *rapid.T) []float32 {
	rng := seeded(rapid.Uint64().Draw(t, "sound"))
	longest := rapid.SampledFrom([]int{1, 1000, 10000, 30000, 60000, 160000}).Draw(t, "longest")
	return noise(rng, rng.IntN(longest))
}

// drawChunks draws a source of chunk lengths.
func drawChunks(t *rapid.T) func() int {
	rng := seeded(rapid.Uint64().Draw(t, "chunks"))
	most := rapid.SampledFrom([]int{1, 100, 1000, 4000, 16000, 160000}).Draw(t, "longest chunk")
	return func() int { return 1 + rng.IntN(most) }
}

func oneThread(t rapid.TB) device.Trainer {
	t.Helper()
	d, err := device.CPU(1)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestStreamIsOnePass checks every decision of random streams, from the first to the last, however the sound is cut into
// pieces, against the equations applied to the whole sound, and that Reset makes a stream new.
func TestStreamIsOnePass(t *testing.T) {
	devices := []device.Trainer{device.Ref(), oneThread(t)}
	rapid.Check(t, func(t *rapid.T) {
		m, o, d := drawStream(t, devices)
		s, samples, chunks := newStream(t, m, d, o), drawSound(t), drawChunks(t)
		if rapid.Bool().Draw(t, "used before") {
			s.Push(noise(seeded(1), rapid.SampledFrom([]int{1, 9999, 60000}).Draw(t, "samples before")))
			decisions(t, s, nil)
			if rapid.Bool().Draw(t, "to its end") {
				s.Flush()
				decisions(t, s, nil)
			}
			s.Reset()
		}
		got := hear(t, s, samples, chunks)
		if len(samples) == 0 {
			if len(got) > 0 {
				t.Fatalf("decisions %v about nothing", got)
			}
			return
		}
		newStreamed(t, m, samples).check(t, got, s.begin, s.hop)
		want := StreamStats{Samples: len(samples), Frames: s.frames(), Decisions: len(got)}
		if stats := s.Stats(); stats != want {
			t.Fatalf("stats %+v, want %+v", stats, want)
		}
	})
}

// TestStreamEndsAsASession checks a stream that ends within a window against one run over the whole sound.
func TestStreamEndsAsASession(t *testing.T) {
	d := oneThread(t)
	for _, kind := range BlockKinds() {
		for i, config := range planConfigs(kind) {
			if config.WholeClip() {
				config.Stages = config.Stages[:1]
			}
			m := randomModel(config, seeded(uint64(i)))
			m.tame()
			m.Window = 3
			s := newStream(t, m, d, StreamOptions{})
			for _, n := range []int{1, 159, 160, 9999, 48000} {
				samples := noise(seeded(uint64(n)), n)
				s.Reset()
				list := hear(t, s, samples, func() int { return 700 })
				rows := s.group.c.extractor.Rows(nil, samples, s.group.c.extractor.Scratch())
				session := s.group.c.plan.Session(1, len(rows)/config.Inputs)
				want := make([]float64, config.Classes)
				for i, v := range session.Run(rows, 1) {
					want[i] = float64(v)
				}
				Softmax(want, m.Temperature)
				nearP(t, fmt.Sprintf("%s net %d, %d samples", kind, i, n), list[len(list)-1].P, want, 1e-4)
			}
		}
	}
}

// TestStreamsShareAClassifier runs streams at the same time, of different steps and sounds.
func TestStreamsShareAClassifier(t *testing.T) {
	m := randomModel(planConfigs(Pi1x1)[0], seeded(1))
	d, err := device.CPU(2)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClassifier(m, d)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for i := range 6 {
		samples := noise(seeded(uint64(i)), 20000)
		want := newStreamed(t, m, samples)
		go func() {
			done <- func() error {
				s, err := c.Stream(StreamOptions{Step: 0.1 * float64(1+i%3)})
				if err != nil {
					return err
				}
				list := hear(t, s, samples, func() int { return 100 * (i + 1) })
				if !t.Failed() {
					want.check(t, list, s.begin, s.hop)
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
	m := randomModel(planConfigs(Linear)[0], seeded(1))
	_, ahead, stride := m.Net.reach()
	for _, step := range []float64{0, 0.06, 0.12} {
		s := newStream(t, m, device.Ref(), StreamOptions{Step: step})
		heard := 0
		for _, n := range repeat(7, 6000) {
			s.Push(make([]float32, n))
			heard += n
			for {
				d, ok, err := s.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				due := int(math.Round(d.Heard * 16000))
				if heard < due || heard-n >= due {
					t.Fatalf("decision about %g s came with sample %d, said to come with %d", d.End, heard, due)
				}
				frames := (int(math.Round(d.End*16000))/160 + ahead) + 1
				if due > (frames+s.step-2)*160+240 || s.step%stride != 0 {
					t.Fatalf("decision about %g s came with sample %d, %d frames decide", d.End, due, frames)
				}
			}
		}
	}
}

func repeat(n, times int) []int {
	list := make([]int, times)
	for i := range list {
		list[i] = n
	}
	return list
}

func TestStreamRefusesImpossibleOptions(t *testing.T) {
	c := hearing(t) // of windows of 0.2 s
	inf, nan := math.Inf(1), math.NaN()
	for _, o := range []StreamOptions{
		{Hop: -1}, {Hop: 0.21}, {Hop: nan}, {Hop: inf}, {Step: -1}, {Step: 10.5}, {Step: nan}, {Step: inf},
		{Gate: 1}, {Gate: nan}, {Gate: -inf}, {Gate: inf},
	} {
		if _, err := c.Stream(o); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestStreamTellsDivergence(t *testing.T) {
	m := randomModel(planConfigs(Pi)[0], seeded(5))
	for i := range m.Norm.Std {
		m.Norm.Std[i] = 1e-30
	}
	s := newStream(t, m, device.Ref(), StreamOptions{})
	s.Push(noise(seeded(1), 9000))
	for range 3 {
		if d, ok, err := s.Next(); !ok || !errors.Is(err, ErrDiverged) || d.P != nil {
			t.Fatalf("decision %+v, %v, error %v", d, ok, err)
		}
	}
}

// TestStreamRecovers checks that a network that diverged answers again when what made it diverge has passed.
func TestStreamRecovers(t *testing.T) {
	m := randomModel(planConfigs(Linear)[0], seeded(5))
	m.Norm.Std[0] = 1e-38 // of a mel that overflows only where it is heard
	m.Norm.Mean[0] = float32(math.Log(m.Features.Floor))
	s := newStream(t, m, device.Ref(), StreamOptions{})
	samples := append(noise(seeded(1), 2000), make([]float32, 30000)...)
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

// TestStreamAllocatesNothing checks the steady state, with a gate and without one.
func TestStreamAllocatesNothing(t *testing.T) {
	if race.Enabled() {
		t.Skip("under the race detector, pools drop what they are given")
	}
	for _, kind := range BlockKinds() {
		for _, gate := range []float64{0, -10, -60} {
			c := planConfigs(kind)[0]
			if c.WholeClip() {
				c.Stages = c.Stages[:1]
			}
			m := randomModel(c, seeded(1))
			m.tame()
			s := newStream(t, m, oneThread(t), StreamOptions{Gate: gate})
			samples := noise(seeded(1), 1600)
			push := func() { listen(t, s, samples) }
			for range 20 {
				push()
			}
			if n := testing.AllocsPerRun(50, push); n != 0 {
				t.Errorf("%s, gate %g: a push allocates %g times", kind, gate, n)
			}
		}
	}
}

// TestStreamGoesOnForEver checks that a stream that has heard long gives what a new one gives for the latest sound, and that its
// memory has not grown.
func TestStreamGoesOnForEver(t *testing.T) {
	hours := 2.0
	if testing.Short() || race.Enabled() {
		hours = 0.05
	}
	c, err := NewClassifier(randomModel(planConfigs(Pi)[0], seeded(1)), oneThread(t))
	if err != nil {
		t.Fatal(err)
	}
	old, err := c.Stream(StreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	minute := noise(seeded(1), 60*16000)
	listen(t, old, minute)
	listen(t, old, minute) // with what is left of the first one
	before := inUse()
	for range int(60*hours) - 2 {
		listen(t, old, minute)
	}
	if grown := inUse() - before; grown > 1<<14 {
		t.Errorf("memory grew by %d bytes", grown)
	}
	fresh, err := c.Stream(StreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	listen(t, fresh, minute)
	tail := noise(seeded(2), 16000)
	old.Push(tail)
	fresh.Push(tail)
	got, want := decisions(t, old, nil), decisions(t, fresh, nil)
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

// listen pushes samples and takes all decisions.
func listen(t rapid.TB, s *Stream, samples []float32) {
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

// TestSlidingSumDoesNotDrift checks the sum of a window that has moved over ten million rows against a fresh one, for windows
// whose lengths change.
func TestSlidingSumDoesNotDrift(t *testing.T) {
	const most = 13
	rows := 10_000_000
	if testing.Short() || race.Enabled() {
		rows = 100_000
	}
	rng := rand.New(rand.NewPCG(1, 2))
	s := newSlidingSum(most, 2)
	var ring [most][2]float32
	var got [2]float64
	for i := range rows {
		row := [2]float32{rng.Float32() * 1e4, rng.Float32()}
		ring[i%most] = row
		length := min(i+1, 1+i/3%most)
		s.drop(max(s.first, i+1-max(length, s.next-s.first-1))) // some windows grow, others shrink by several rows
		if s.next-s.first == most {
			s.drop(s.first + 1)
		}
		s.push(row[:])
		if i > 1000 && i < rows-1000 {
			continue
		}
		s.mean(got[:])
		for c := range got {
			want := 0.0
			for r := s.first; r < s.next; r++ {
				want += float64(ring[r%most][c])
			}
			want /= float64(s.next - s.first)
			if math.Abs(got[c]-want) > 1e-14*want {
				t.Fatalf("row %d: mean %g of %d rows, want %g", i, got[c], s.next-s.first, want)
			}
		}
	}
}
