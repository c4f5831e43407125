package training

import (
	"math"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// toy returns clips of two classes of noise: class 1 has a rising ramp over time in one feature, class 0 a falling one,
// at a random position. Only the order of frames distinguishes them.
func toy(seed uint64, batch, frames int) (rows []float32, labels []int) {
	rng := nettest.Rand(seed)
	rows = nettest.Normals(rng, batch*frames*6)
	for clip := range batch {
		label, start := clip%2, rng.IntN(frames-6)
		for i := range 6 {
			ramp := float32(i) - 2.5
			if label == 0 {
				ramp = -ramp
			}
			rows[(clip*frames+start+i)*6+2] += 2 * ramp
		}
		labels = append(labels, label)
	}
	return rows, labels
}

// fit trains a tiny network on the toy task and returns it with its average.
func fit(t *testing.T, d device.Trainer, kind polynet.BlockKind, steps int) (*Network, *ema) {
	const batch, frames = 16, 20
	c := nettest.Tiny(kind)
	c.Classes, c.Dropout = 2, 0.1
	rng := nettest.Rand(8)
	n, err := NewNetwork(c, d, rng)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPass(n, rng)
	p.Train = true
	o, e := NewAdamW(n, 0.9, 0.999, 1e-8, 0.01), newEMA(n, 0.99)
	rates := schedule{peak: 0.01, warmup: steps / 10, total: steps}
	for step := 1; step <= steps; step++ {
		rows, labels := toy(uint64(step), batch, frames)
		trainStep(n, p, o, rates.rate(step), step, rows, labels, frames)
		e.update(step)
	}
	return n, e
}

func accuracy(n *Network) float64 {
	const batch, frames = 100, 20
	rows, labels := toy(1<<20, batch, frames)
	p := NewPass(n, nil)
	logits := rowsOf(n.dev, n.Forward(p, p.Input(rows, batch, frames)))
	right := 0
	for i, label := range labels {
		if (logits[2*i+1] > logits[2*i]) == (label == 1) {
			right++
		}
	}
	return float64(right) / batch
}

func TestNetworksLearn(t *testing.T) {
	d, err := device.CPU(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []polynet.BlockKind{polynet.ReLU, polynet.Pi, polynet.Pi1x1} {
		n, e := fit(t, d, kind, 200)
		last := accuracy(n)
		average := accuracy(e.average)
		if last < 0.85 || average < 0.85 {
			t.Errorf("%s: accuracy %.2f, of the averaged weights %.2f", kind, last, average)
		}
		t.Logf("%s: accuracy %.2f, of the averaged weights %.2f", kind, last, average)
	}
}

func TestTrainingIsDeterministic(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Trainer) {
		a, averageA := fit(t, d, polynet.Pi1x1, 5)
		b, averageB := fit(t, d, polynet.Pi1x1, 5)
		if !slices.Equal(a.state().Params, b.state().Params) || !slices.Equal(a.state().Running, b.state().Running) {
			t.Error("the same seed gives other weights")
		}
		if !slices.Equal(averageA.average.state().Params, averageB.average.state().Params) {
			t.Error("the same seed gives other averages")
		}
	})
}

func TestThreadsDoNotChangeTraining(t *testing.T) {
	var states []state
	for _, threads := range []int{1, 2, 5} {
		d, err := device.CPU(threads)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := fit(t, d, polynet.Pi, 5)
		states = append(states, n.state())
	}
	for _, s := range states[1:] {
		if !slices.Equal(s.Params, states[0].Params) || !slices.Equal(s.Running, states[0].Running) {
			t.Error("another number of threads gives other weights")
		}
	}
}

// TestDevicesAgreeOnAStep compares a step of every kind, at widths that fill and straddle the kernels' tiles, with
// Ref's.
func TestDevicesAgreeOnAStep(t *testing.T) {
	const batch, frames = 5, 33
	cpu, err := device.CPU(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range polynet.BlockKinds() {
		c := nettest.Tiny(kind)
		c.Stem.Width, c.Stages[0].Width, c.Stages[0].Kernel, c.Stages[0].Ahead, c.Stages[1].Width = 32, 32, 9, 4, 40
		var states [2]state
		var gradients [2][]float32
		for i, d := range []device.Trainer{device.Ref(), cpu} {
			n := newTestNetwork(t, c, d, 1)
			perturb(n, nettest.Rand(2))
			p := NewPass(n, nettest.Rand(4))
			p.Train = true
			rows := nettest.Normals(nettest.Rand(3), batch*frames*c.Inputs)
			trainStep(n, p, NewSGD(n, 0.9, 0.01), 0.1, 1, rows, []int{3, 1, 0, 2, 1}, frames)
			states[i], gradients[i] = n.state(), download(d, n.grads)
		}
		nettest.Near(t, string(kind)+": gradients", gradients[1], gradients[0], 1e-4)
		nettest.Near(t, string(kind)+": parameters", states[1].Params, states[0].Params, 1e-5)
		nettest.Near(t, string(kind)+": running statistics", states[1].Running, states[0].Running, 1e-5)
	}
}

// TestTrainingResumes carries the state of five steps into fresh objects, and compares with going on.
func TestTrainingResumes(t *testing.T) {
	for name, optimizer := range map[string]func(*Network) *Optimizer{
		"sgd":   func(n *Network) *Optimizer { return NewSGD(n, 0.9, 0.01) },
		"adamw": func(n *Network) *Optimizer { return NewAdamW(n, 0.9, 0.999, 1e-8, 0.01) },
	} {
		run := func(n *Network, o *Optimizer, e *ema, first, last int) {
			p := NewPass(n, nil)
			p.Train = true
			for step := first; step <= last; step++ {
				rows, labels := toy(uint64(step), 8, 20)
				trainStep(n, p, o, 0.01, step, rows, labels, 20)
				e.update(step)
			}
		}
		a := newTestNetwork(t, nettest.Tiny(polynet.Pi), device.Ref(), 1)
		oa, ea := optimizer(a), newEMA(a, 0.9)
		run(a, oa, ea, 1, 3)
		b := newTestNetwork(t, nettest.Tiny(polynet.Pi), device.Ref(), 2)
		ob, eb := optimizer(b), newEMA(b, 0.9)
		for _, err := range []error{
			b.setState(a.state()), ob.setState(oa.state()), eb.average.setState(ea.average.state()),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		run(a, oa, ea, 4, 6)
		run(b, ob, eb, 4, 6)
		for what, pair := range map[string][2]state{
			"network": {a.state(), b.state()}, "average": {ea.average.state(), eb.average.state()},
		} {
			if !slices.Equal(pair[0].Params, pair[1].Params) || !slices.Equal(pair[0].Running, pair[1].Running) {
				t.Errorf("%s: the resumed run has another %s", name, what)
			}
		}
	}
}

func TestEMA(t *testing.T) {
	n := newTestNetwork(t, nettest.Tiny(polynet.Pi), device.Ref(), 1)
	e := newEMA(n, 0.5)
	was := n.state()
	begin := e.average.state()
	if !slices.Equal(begin.Params, was.Params) || !slices.Equal(begin.Running, was.Running) {
		t.Fatal("the average does not begin at the network's weights")
	}
	perturb(n, nettest.Rand(2))
	is := n.state()
	for _, c := range []struct {
		step int
		keep float32
	}{{1, 2. / 11}, {100, 0.5}} {
		if err := e.average.setState(was); err != nil {
			t.Fatal(err)
		}
		e.update(c.step)
		for i := range was.Params {
			was, is, got := was.Params[i], is.Params[i], e.average.state().Params[i]
			if want := c.keep*was + (1-c.keep)*is; math.Abs(float64(got-want)) > 1e-6 {
				t.Fatalf("step %d: %g and %g average to %g, want %g", c.step, was, is, got, want)
			}
			if i > 50 {
				break
			}
		}
	}
}

func TestSchedule(t *testing.T) {
	s := schedule{peak: 2, warmup: 4, total: 12}
	for step, want := range map[int]float64{1: 0.5, 2: 1, 4: 2, 5: 2, 9: 1, 12: 1 + math.Cos(7*math.Pi/8), 13: 0} {
		if got := s.rate(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("step %d: %g, want %g", step, got, want)
		}
	}
	if got := (schedule{peak: 2, total: 10}).rate(1); got != 2 {
		t.Errorf("without warm-up: %g, want 2", got)
	}
}

func TestStaircase(t *testing.T) {
	s := schedule{peak: 1, warmup: 2, total: 10, milestones: []int{5, 8}}
	for step, want := range map[int]float64{1: 0.5, 2: 1, 5: 1, 6: 0.1, 8: 0.1, 9: 0.01, 10: 0.01, 11: 0} {
		if got := s.rate(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("step %d: %g, want %g", step, got, want)
		}
	}
}

func TestClipGradient(t *testing.T) {
	n := newTestNetwork(t, nettest.Tiny(polynet.Pi), device.Ref(), 1)
	p := NewPass(n, nil)
	p.Train = true
	rows, labels := toy(1, 8, 20)
	trainStep(n, p, NewSGD(n, 0, 0), 0, 1, rows, labels, 20)
	before := download(n.dev, n.grads)
	norm := 0.0
	for _, g := range before {
		norm += float64(g) * float64(g)
	}
	norm = math.Sqrt(norm)
	n.ClipGradient(2 * norm)
	if got := float64(download(n.dev, n.norm)[0]); math.Abs(got-norm) > 1e-5*norm {
		t.Errorf("norm %g, want %g", got, norm)
	}
	nettest.Near(t, "gradients below the limit", download(n.dev, n.grads), before, 0)
	n.ClipGradient(norm / 4)
	for i := range before {
		before[i] /= 4
	}
	nettest.Near(t, "clipped gradients", download(n.dev, n.grads), before, 1e-5)
}

func TestTargets(t *testing.T) {
	got := make([]float32, 8)
	Targets(got, []int{2, 0}, 4, 0.2)
	nettest.Near(t, "targets", got, []float32{0.05, 0.05, 0.85, 0.05, 0.85, 0.05, 0.05, 0.05}, 1e-6)
}

func TestDropoutKeepsTheMean(t *testing.T) {
	d := device.Ref()
	n := drawn(headProgram(50, 1, 0.25), d, nettest.Rand(1))
	p := newPass(d, 0, nettest.Rand(2))
	p.Train = true
	n.forward(p, p.Input(slices.Repeat([]float32{1}, 100*50), 100, 1))
	zeros, sum := 0, 0.0
	for _, v := range rowsOf(d, p.tensors[polynet.Output(1)].View) {
		sum += float64(v)
		if v == 0 {
			zeros++
		}
	}
	if share := float64(zeros) / 5000; math.Abs(share-0.25) > 0.03 {
		t.Errorf("%.3f of the features are zero, want 0.25", share)
	}
	if mean := sum / 5000; math.Abs(mean-1) > 0.04 {
		t.Errorf("the mean is %.3f, want 1", mean)
	}
}
