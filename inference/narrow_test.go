package inference

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// narrowModel returns a random model of the kind with narrow weights.
func narrowModel(kind polynet.BlockKind, n polynet.Narrow) *polynet.Model {
	c := nettest.Configs(kind)[0]
	c.Narrow = &n
	m := nettest.RandomModel(c, nettest.Rand(1))
	nettest.SetStatistics(m)
	return m
}

// TestNarrowNetworksComputeTheEquations compares clips with the plain equations. A value next to the middle of two
// levels may go to the other one.
func TestNarrowNetworksComputeTheEquations(t *testing.T) {
	const frames, flips = 40, 0.03
	for _, n := range []polynet.Narrow{
		{Weights: polynet.Ternary, Stem: true, Head: true}, {Weights: polynet.Int8}, {Weights: polynet.Int8, Stem: true},
	} {
		for _, kind := range polynet.BlockKinds() {
			m := narrowModel(kind, n)
			rows := nettest.Normals(nettest.Rand(5), frames*m.Net.Inputs)
			for i := range rows {
				rows[i] = 2.5*rows[i] - 5
			}
			var want []float32
			for _, v := range nettest.Logits(m, rows) {
				want = append(want, float32(v))
			}
			onDevices(t, func(t *testing.T, d device.Device) {
				p := newPlan(t, m, d)
				clips := p.Clips(1, frames)
				nettest.Near(t, fmt.Sprintf("%s, %+v", kind, n), clips.Run(rows, 1), want, flips)
				clips.Close()
				p.Close()
			})
		}
	}
}

// TestNarrowNumbersDependOnNothing compares clips on all instruction sets, and streams with streams in a group: where
// the stem is narrow too, all rows before the mean are the same, so that no value goes to another level.
func TestNarrowNumbersDependOnNothing(t *testing.T) {
	const frames, few = 77, 1e-5
	for _, weights := range []polynet.Precision{polynet.Int8, polynet.Ternary} {
		for _, kind := range []polynet.BlockKind{polynet.Pi, polynet.NCPSkip, polynet.PiTanh} {
			m := narrowModel(kind, polynet.Narrow{Weights: weights, Stem: true})
			rows := nettest.Normals(nettest.Rand(5), 2*frames*m.Net.Inputs)
			var want []float32
			for _, kernels := range device.Kernels() {
				t.Setenv(device.KernelsVariable, kernels)
				for _, batch := range []int{1, 2} {
					clips := newPlan(t, m, oneThread(t)).Clips(batch, frames)
					got := clips.Run(rows[:batch*frames*m.Net.Inputs], batch)[:m.Net.Classes]
					if want == nil {
						want = slices.Clone(got)
					}
					nettest.Near(t, fmt.Sprintf("%s, %s, %s, %d clips", kind, weights, kernels, batch), got, want, few)
				}
			}
			t.Setenv(device.KernelsVariable, "")
			groupIsStreams(t, m)
		}
	}
}

// groupIsStreams compares the decisions of a group of three streams with those of three groups of one.
func groupIsStreams(t *testing.T, m *polynet.Model) {
	const n = 3
	p := newPlan(t, m, oneThread(t))
	samples := noise(nettest.Rand(8), 12000)
	decide := func(g *Group) (all [n][]float64) {
		for ok := true; ok; {
			var i int
			var d Decision
			i, d, ok, _ = g.Next()
			all[i] = append(all[i], d.Logits...)
		}
		return all
	}
	open := func(streams int, push func(g *Group)) [n][]float64 {
		g, err := p.Group(streams, StreamOptions{Step: 0.08})
		if err != nil {
			t.Fatal(err)
		}
		push(g)
		return decide(g)
	}
	all := open(n, func(g *Group) {
		for i := range n {
			g.Push(i, samples[i*2000:])
			g.Flush(i)
		}
	})
	for i := range n {
		one := open(1, func(g *Group) {
			g.Push(0, samples[i*2000:])
			g.Flush(0)
		})
		if len(one[0]) == 0 || len(one[0]) != len(all[i]) {
			t.Fatalf("%d and %d logits", len(one[0]), len(all[i]))
		}
		for k, v := range one[0] {
			if math.Abs(v-all[i][k]) > 1e-4 {
				t.Fatalf("stream %d of a group: logit %d is %g, alone %g", i, k, all[i][k], v)
			}
		}
	}
}

// A tensor that only narrow convolutions read has no floats, and is a quarter as large.
func TestNarrowTensorsAreBytes(t *testing.T) {
	m := narrowModel(polynet.Pi, polynet.Narrow{Weights: polynet.Int8})
	p := newPlan(t, m, oneThread(t))
	l := newLayout(p.program, false)
	unread, bytes := 0, 0
	for i := range l.inPlace {
		if tensor := &l.tensors[polynet.Output(i)]; tensor.unread {
			unread++
			if next := &l.tensors[polynet.Output(i+1)]; !l.written[i+1] || next.cols != device.CeilDiv(tensor.cols, 4) {
				t.Errorf("the bytes of %s are %d words", p.program.Steps[i].Name, next.cols)
			}
		}
		if l.written[i] {
			bytes++
		}
	}
	blocks := 0
	for _, s := range m.Net.Stages {
		blocks += s.Blocks
	}
	if unread != blocks || bytes != 2*blocks-1 {
		t.Errorf("%d tensors without floats and %d with bytes for %d blocks", unread, bytes, blocks)
	}
}

// A scale that has no inverse is an unusable model, not a panic.
func TestNarrowScaleWithoutInverse(t *testing.T) {
	for _, scale := range []float32{1e-45, 1e-39} {
		m := narrowModel(polynet.Pi, polynet.Narrow{Weights: polynet.Int8})
		for name, w := range m.Weights {
			if strings.HasSuffix(name, "0.0.conv1.input_scale") {
				w.Data().([]float32)[0] = scale
			}
		}
		_, err := Compile(m, oneThread(t))
		if !errors.Is(err, polynet.ErrModel) || !strings.Contains(err.Error(), "stages.0.0.conv1.input_scale") {
			t.Errorf("a scale of %g gives the error %v", scale, err)
		}
	}
}

// TestNarrowStreamsAreOnePass compares a stream's decisions with the plain equations on the whole sound.
func TestNarrowStreamsAreOnePass(t *testing.T) {
	for _, n := range []polynet.Narrow{{Weights: polynet.Ternary, Head: true}, {Weights: polynet.Int8, Stem: true}} {
		for _, kind := range []polynet.BlockKind{polynet.Pi, polynet.Star} {
			m := narrowModel(kind, n)
			samples := noise(nettest.Rand(6), 9000)
			one := newOnePass(t, m, samples)
			p := newPlan(t, m, oneThread(t))
			s := newStream(t, p, StreamOptions{})
			for at := 0; at < len(samples); at += 700 {
				s.Push(samples[at:min(at+700, len(samples))])
			}
			s.Flush()
			decisions := 0
			for {
				d, ok, err := s.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				decisions++
				for i, v := range one.p(int(math.Round(d.End * float64(m.Features.Rate)))) {
					if math.Abs(v-d.P[i]) > 0.02 {
						t.Errorf("%s, %+v: at %g s, class %d has the probability %g, want %g",
							kind, n, d.End, i, d.P[i], v)
					}
				}
			}
			if decisions < 3 {
				t.Errorf("%s, %+v: %d decisions", kind, n, decisions)
			}
			s.Close()
			p.Close()
		}
	}
}

// wrapped is a device that hides what one is besides.
type wrapped struct{ device.Device }

// TestNarrowOnAWrappedDevice computes with a device that does not say that it multiplies bytes, whose serial one does:
// one clip, which the serial one computes, has the same answer as two at once.
func TestNarrowOnAWrappedDevice(t *testing.T) {
	m := narrowModel(polynet.Pi, polynet.Narrow{Weights: polynet.Int8, Stem: true})
	rows := nettest.Normals(nettest.Rand(5), 2*40*m.Net.Inputs)
	p := newPlan(t, m, wrapped{oneThread(t)})
	defer p.Close()
	clips := p.Clips(2, 40)
	defer clips.Close()
	one := slices.Clone(clips.Run(rows[:len(rows)/2], 1))
	nettest.Near(t, "one clip", one, clips.Run(rows, 2)[:len(one)], 1e-4)
}
