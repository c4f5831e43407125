package inference

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/memtest"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"pgregory.net/rapid"
)

func TestCompileRefusesInconsistentModels(t *testing.T) {
	m := configModel(polynet.Pi, 1)
	delete(m.Weights, "stages.1.1.norm2.bias")
	if _, err := Compile(m, device.Ref()); !errors.Is(err, polynet.ErrModel) {
		t.Errorf("a model without one of its weights: %v", err)
	}
}

// TestCompileBoundsMemory compiles networks whose tensors have so many shapes that hardly any share memory.
func TestCompileBoundsMemory(t *testing.T) {
	for name, c := range map[string]struct {
		inside, outside int // stages
		model           func(stages int) *polynet.Model
	}{
		"clip": {3, 12, func(stages int) *polynet.Model {
			c := stagesOf(stages, func(i int) (width, kernel int) { return 60 + i, 1 })
			m := nettest.RandomModel(c, nettest.Rand(1))
			m.Window = 262
			return m
		}},
		"long clip": {12, 50, func(stages int) *polynet.Model {
			c := stagesOf(stages, func(i int) (width, kernel int) { return 1 + i, 1 + i%3 })
			m := nettest.RandomModel(c, nettest.Rand(1))
			m.Window = 262
			return m
		}},
		"stream": {5, 22, func(stages int) *polynet.Model {
			c := stagesOf(stages, func(i int) (width, kernel int) { return 4, 1 + i })
			m := nettest.RandomModel(c, nettest.Rand(1))
			m.Features.Rate, m.Features.Hop, m.Window = 1e6, 2, 0.0001
			return m
		}},
	} {
		if p, err := Compile(c.model(c.inside), device.Ref()); err != nil {
			t.Errorf("%s, inside: %v", name, err)
		} else {
			p.Close()
		}
		m, says := c.model(c.outside), "the tensors of a "+name[strings.Index(name, " ")+1:]+" take "
		memtest.Within(t, 0, func() {
			_, err := Compile(m, device.Ref())
			if !errors.Is(err, polynet.ErrModel) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s, outside: %v, which should say %q", name, err, says)
			}
		})
	}
}

// stagesOf returns a network of stages of one block each.
func stagesOf(n int, shape func(i int) (width, kernel int)) polynet.Config {
	c := polynet.Config{
		Inputs: 1, Classes: 1, Block: polynet.Linear, Stem: polynet.Stem{Width: 1, Kernel: 1, Stride: 1},
	}
	for i := range n {
		width, kernel := shape(i)
		c.Stages = append(c.Stages, polynet.Stage{Width: width, Blocks: 1, Kernel: kernel, Stride: 1})
	}
	return c
}

func TestBatchSize(t *testing.T) {
	m := configModel(polynet.Pi, 1)
	for _, c := range []struct {
		window     float64
		most, want int
	}{{0.2, 64, 64}, {0.2, 100, 100}, {60, 64, 32}, {60, 20, 20}, {250, 64, 8}, {250, 1, 1}} {
		m.Window = c.window
		p := newPlan(t, m, device.Ref())
		if got := p.BatchSize(c.most); got != c.want {
			t.Errorf("%g s: %d of %d clips, want %d", c.window, got, c.most, c.want)
		}
		p.Close()
	}
}

// TestReferenceAgrees compares the answers of Compile and CompileReference about clips and streams of samples.
func TestReferenceAgrees(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		m := configModel(kind, 1)
		tame(m)
		reference, err := CompileReference(m)
		if err != nil {
			t.Fatal(err)
		}
		p := newPlan(t, m, oneThread(t))
		const batch, length = 2, 8000
		samples := noise(nettest.Rand(2), batch*length)
		run := func(p *Plan) []float32 {
			return p.Clips(batch, m.Features.Frames(length)).RunSamples(samples, batch)
		}
		nettest.Near(t, string(kind), run(p), run(reference), 1e-4)
		stream := func(p *Plan) []Decision {
			return decisionsAbout(t, newStream(t, p, StreamOptions{}), samples, func() int { return 1000 })
		}
		got, want := stream(p), stream(reference)
		if len(got) != len(want) {
			t.Fatalf("%s: %d decisions, the reference has %d", kind, len(got), len(want))
		}
		for i := range want {
			nearP(t, fmt.Sprintf("%s, decision %d", kind, i), got[i].P, want[i].P, 1e-4)
		}
	}
}

// stepOptions returns options whose runs have a size of their own for each i.
func stepOptions(i int) StreamOptions { return StreamOptions{Step: 0.06 * float64(1+i)} }

// runGroup pushes two seconds of noise to all streams of g and takes the decisions.
func runGroup(t rapid.TB, g *Group) {
	t.Helper()
	for i := range len(g.streams) {
		g.Push(i, noise(nettest.Rand(uint64(i)), 32000))
	}
	for ok := true; ok; {
		var err error
		if _, _, ok, err = g.Next(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCachesAreBounded checks that a plan keeps what groups of many sizes use while they are open, not much of it
// later, and nothing once it is closed.
func TestCachesAreBounded(t *testing.T) {
	const sizes = 3 * maxCached
	d := newProbe(device.Ref())
	p := newPlan(t, configModel(polynet.Linear, 1), d)
	check := func(when string, used int) {
		t.Helper()
		if n := len(p.shared); n > max(maxCached, used) {
			t.Errorf("%s: %d sets of weights", when, n)
		}
		if n := len(p.idle); n > max(maxCached, 2*runtime.GOMAXPROCS(0)) {
			t.Errorf("%s: %d idle executors", when, n)
		}
	}
	var open []*Group
	for i := range sizes {
		for range 2 { // which share weights
			g, err := p.Group(1+i%3, stepOptions(i))
			if err != nil {
				t.Fatal(err)
			}
			runGroup(t, g)
			if open = append(open, g); i%2 == 0 && g.narrow != open[2*i].narrow {
				t.Error("groups of the same size have weights of their own")
			}
		}
		check("groups are open", 2*(i+1))
	}
	rng := nettest.Rand(1)
	rng.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	for _, g := range open {
		runGroup(t, g)
		g.Close()
		g.Close() // does nothing
	}
	check("all groups are closed", 0)
	most := 0
	for i := range sizes {
		g, err := p.Group(2, stepOptions(i))
		if err != nil {
			t.Fatal(err)
		}
		runGroup(t, g)
		check("one group is open", maxCached+2)
		g.Close()
		check("no group is open", 0)
		if _, values := d.buffers(); i < sizes/2 {
			most = max(most, values)
		} else if values > 2*most {
			t.Errorf("%d values are in use after %d groups, at most %d after half of them", values, i, most)
		}
	}
	p.Close()
	if n, values := d.buffers(); n > 0 {
		t.Errorf("%d buffers of %d values were not freed", n, values)
	}
}

// TestIdleExecutorsAreBounded runs streams of many sizes on many goroutines.
func TestIdleExecutorsAreBounded(t *testing.T) {
	d := newProbe(oneThread(t))
	p := newPlan(t, configModel(polynet.Pi, 1), d)
	var all sync.WaitGroup
	for i := range 4 * (maxCached + runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			g, err := p.Group(1, stepOptions(i%20))
			if err != nil {
				t.Error(err)
				return
			}
			defer g.Close()
			g.Push(0, noise(nettest.Rand(1), 32000))
			for ok := true; ok; {
				_, _, ok, _ = g.Next()
			}
		})
	}
	all.Wait()
	if n := len(p.idle); n > max(maxCached, 2*runtime.GOMAXPROCS(0)) {
		t.Errorf("%d idle executors", n)
	}
	if n := len(p.shared); n > maxCached {
		t.Errorf("%d sets of weights", n)
	}
	p.Close()
	if n, _ := d.buffers(); n > 0 {
		t.Errorf("%d buffers were not freed", n)
	}
}

// TestPackingDelaysNoOthers runs a stream while another one's weights are being packed.
func TestPackingDelaysNoOthers(t *testing.T) {
	d := newProbe(oneThread(t))
	p := newPlan(t, configModel(polynet.Linear, 1), d)
	s := newStream(t, p, stepOptions(0))
	runGroup(t, s.Group)
	packing, resume, done := make(chan bool), make(chan bool), make(chan bool)
	var once sync.Once
	d.onPack = func() {
		once.Do(func() {
			packing <- true
			<-resume
		})
	}
	other := newStream(t, p, stepOptions(4))
	go func() {
		runGroup(t, other.Group)
		close(done)
	}()
	<-packing
	for range 3 {
		runGroup(t, s.Group)
	}
	newStream(t, p, stepOptions(5)).Close()
	close(resume)
	<-done
}

// TestFaultLeavesNoLock lets a kernel fail in the middle of a group's runs. Other streams go on, and so does the group
// once its streams are new.
func TestFaultLeavesNoLock(t *testing.T) {
	m := configModel(polynet.Pi, 1)
	tame(m)
	samples := noise(nettest.Rand(1), 20000)
	fault := &device.Fault{Kernel: "test", Err: errors.New("no such memory")}
	fails := func() { panic(fault) }
	for products := range 30 { // before the failure; 0 stands for a failure of packing
		d := newProbe(oneThread(t))
		p := newPlan(t, m, d)
		other := newStream(t, p, StreamOptions{})
		answers := func() []Decision {
			other.Reset()
			return decisionsAbout(t, other, samples, func() int { return 3000 })
		}
		want := answers()
		g, err := p.Group(2, StreamOptions{Step: 0.5})
		if err != nil {
			t.Fatal(err)
		}
		if left := products; left == 0 {
			d.onPack = fails
		} else {
			d.onMatMul = func() {
				if left--; left == 0 {
					fails()
				}
			}
		}
		if err := recovered(func() { runGroup(t, g) }); !errors.Is(err, fault.Err) {
			t.Fatalf("error %v, want %v", err, fault)
		}
		d.onMatMul, d.onPack = nil, nil
		equalDecisions(t, answers(), want)
		for i := range len(g.streams) {
			g.Reset(i)
			g.Push(i, samples)
			g.Flush(i)
		}
		again := make([][]Decision, len(g.streams))
		takeAll(g, func(i int, d Decision, err error) { again[i] = append(again[i], d) })
		for _, got := range again {
			if len(got) != len(want) {
				t.Fatalf("%d decisions, want %d", len(got), len(want))
			}
			for i, d := range want {
				nearP(t, "decision", got[i].P, d.P, 1e-5)
			}
		}
		g.Close()
		other.Close()
		p.Close()
		if n, _ := d.buffers(); n > 0 && products > 0 {
			t.Errorf("%d buffers were not freed", n)
		}
	}
}

// recovered returns the device's failure that f panics with, or nil.
func recovered(f func()) (err error) {
	defer func() { err = device.Recovered(recover()) }()
	f()
	return nil
}

// equalDecisions fails the test unless the decisions are the same.
func equalDecisions(t rapid.TB, got, want []Decision) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b Decision) bool {
		return a.Start == b.Start && a.End == b.End && a.Used == b.Used && a.Gated == b.Gated && slices.Equal(a.P, b.P)
	}) {
		t.Errorf("decisions %v, want %v", got, want)
	}
}
