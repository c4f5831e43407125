package compress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/export/onnx"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

const clips, frames = 12, 40

// testData returns random calibration clips, and an accuracy that is how often a model gives the same label as m.
func testData(t *testing.T, m *polynet.Model) Data {
	t.Helper()
	dev, err := device.CPU(1)
	if err != nil {
		t.Fatal(err)
	}
	d := Data{Device: dev, Clips: clips, Frames: frames}
	for range clips * frames {
		for k, v := range nettest.Normals(nettest.Rand(uint64(len(d.Rows)+3)), m.Net.Inputs) {
			d.Rows = append(d.Rows, m.Norm.Mean[k]+m.Norm.Std[k]*v)
		}
	}
	labels := labelsOf(m, d)
	d.Accuracy = func(_ context.Context, other *polynet.Model) (float64, error) {
		same := 0
		for i, label := range labelsOf(other, d) {
			if label == labels[i] {
				same++
			}
		}
		return 100 * float64(same) / clips, nil
	}
	return d
}

func labelsOf(m *polynet.Model, d Data) (labels []int) {
	for clip := range slices.Chunk(d.Rows, frames*m.Net.Inputs) {
		logits := nettest.Logits(m, clip)
		labels = append(labels, slices.Index(logits, slices.Max(logits)))
	}
	return labels
}

// doubled returns m with every channel of every group twice, and half of the weights for each of them in what reads it.
func doubled(t *testing.T, m *polynet.Model) *polynet.Model {
	t.Helper()
	c := channelsOf(m.Net)
	var widths []int
	for _, g := range c.groups {
		widths = append(widths, 2*g.width)
	}
	net, err := c.resize(widths)
	if err != nil {
		t.Fatal(err)
	}
	n := *m
	n.Net, n.Weights = net, polynet.Weights{}
	old := map[string]polynet.Weight{}
	for _, w := range c.p.Weights {
		old[w.Name] = w
	}
	for _, w := range net.Program().Weights {
		from, was := values(m.Weights, w.Name), old[w.Name].Shape
		list := make([]float32, w.Len())
		in, out, share := 1, w.Shape[len(w.Shape)-1], float32(1)
		if len(w.Shape) > 1 {
			in = w.Shape[len(w.Shape)-2]
		}
		oldIn, oldOut := in, was[len(was)-1]
		if len(was) > 1 && was[len(was)-2] != in {
			oldIn, share = was[len(was)-2], 0.5
		}
		for i := range list {
			tap, row, col := i/(in*out), i/out%in, i%out
			list[i] = share * from[(tap*oldIn+row%oldIn)*oldOut+col%oldOut]
		}
		put(n.Weights, w.Name, list, w.Shape...)
	}
	return &n
}

// near fails the test unless the models' logits for the clips are the same.
func near(t *testing.T, name string, got, want *polynet.Model, d Data, tolerance float64) {
	t.Helper()
	for clip := range slices.Chunk(d.Rows[:3*frames*want.Net.Inputs], frames*want.Net.Inputs) {
		a, b := nettest.Logits(got, clip), nettest.Logits(want, clip)
		largest := 0.0
		for _, v := range b {
			largest = max(largest, math.Abs(v))
		}
		for i := range a {
			if !(math.Abs(a[i]-b[i]) <= tolerance*max(1, largest)) {
				t.Errorf("%s: logits %.6v, want %.6v", name, a, b)
				return
			}
		}
	}
}

// TestCopiesGoWithoutATrace removes the second of two identical channels everywhere, in every kind of block.
func TestCopiesGoWithoutATrace(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		small := nettest.RandomModel(nettest.Configs(kind)[0], nettest.Rand(5))
		m := doubled(t, small)
		d := testData(t, small)
		near(t, string(kind)+" doubled", m, small, d, 1e-4)
		for _, dataFree := range []bool{false, true} {
			for _, fold := range []Fold{FoldAll, FoldPair} {
				share := float64(MACs(small)) / float64(MACs(m))
				s := &Similar{MACs: share, By: BySimilarity, Fold: fold, DataFree: dataFree, Lanes: 1}
				got, report, err := s.Apply(t.Context(), m, d)
				if err != nil {
					t.Errorf("%s: %v", kind, err)
					continue
				}
				if MACs(got) > MACs(small) { // what is always rectified to 0 goes, too
					t.Errorf("%s, data-free %v: %d multiply-adds of %d, want %d:\n%s",
						kind, dataFree, MACs(got), MACs(m), MACs(small), strings.Join(report.Lines, "\n"))
				}
				near(t, fmt.Sprintf("%s %s, data-free %v", kind, fold, dataFree), got, m, d, 1e-4)
			}
		}
		if s := (&Similar{MACs: 1, By: BySimilarity, Fold: FoldAll, Lanes: 1}); true {
			got, _, err := s.Apply(t.Context(), small, d)
			if err != nil || MACs(got) != MACs(small) {
				t.Errorf("%s: all multiply-adds may stay, and do not: %v", kind, err)
				continue
			}
			near(t, string(kind)+" as it was", got, small, d, 1e-6)
		}
	}
}

// TestBudget prunes networks of every kind by every rule, and runs the results from files, as streams and as ONNX.
func TestBudget(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		m := doubled(t, nettest.RandomModel(nettest.Configs(kind)[1], nettest.Rand(7)))
		d := testData(t, m)
		for _, by := range []By{BySimilarity, ByMoments, ByRandom, ByScale, ByMagnitude} {
			s := &Similar{MACs: 0.5, By: by, Fold: FoldAll, Lanes: 4, Seed: 3}
			got, report, err := s.Apply(t.Context(), m, d)
			if err != nil {
				t.Errorf("%s by %s: %v", kind, by, err)
				continue
			}
			if share := float64(MACs(got)) / float64(MACs(m)); share > 0.5 || share < 0.2 {
				t.Errorf("%s by %s: %.3f of the multiply-adds, want nearly 0.5", kind, by, share)
			}
			got = Record(got, s, report)
			var file bytes.Buffer
			if err := got.Write(&file); err != nil {
				t.Fatal(err)
			}
			read, err := polynet.Read(bytes.NewReader(file.Bytes()))
			if err != nil {
				t.Errorf("%s by %s: %v", kind, by, err)
				continue
			}
			if !strings.Contains(read.Provenance.Compressed[0], "similar: by "+string(by)) {
				t.Errorf("%s by %s: the provenance says %q", kind, by, read.Provenance.Compressed)
			}
			if by == BySimilarity {
				sameEverywhere(t, string(kind), read, d)
			}
		}
	}
}

// sameEverywhere compares clips, streams and ONNX with the plain equations.
func sameEverywhere(t *testing.T, name string, m *polynet.Model, d Data) {
	t.Helper()
	plan, err := inference.Compile(m, d.Device)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer plan.Close()
	run := plan.Clips(1, frames)
	defer run.Close()
	rows := d.Rows[:frames*m.Net.Inputs]
	var want []float32
	for _, v := range nettest.Logits(m, rows) {
		want = append(want, float32(v))
	}
	nettest.Near(t, name, run.Run(rows, 1), want, 1e-3)

	samples := nettest.Normals(nettest.Rand(9), m.WindowSamples())
	group, err := plan.Group(1, inference.StreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	group.Push(0, samples)
	group.Flush(0)
	var last []float32
	for {
		_, decision, ok, err := group.Next()
		if err != nil || !ok {
			break
		}
		last = last[:0]
		for _, v := range decision.Logits {
			last = append(last, float32(v))
		}
	}
	whole := plan.Clips(1, m.Features.Frames(len(samples)))
	defer whole.Close()
	nettest.Near(t, name+" as a stream", last, whole.RunSamples(samples, 1), 1e-3)

	var file bytes.Buffer
	if err := onnx.Write(&file, m, onnx.LogMel); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	back, err := onnx.Read(&file)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if _, err := back.StateDict(m.Net); err != nil {
		t.Errorf("%s: the ONNX file is of another network: %v", name, err)
	}
}

// TestFloor checks that accuracy stays above the floor, and that a higher floor leaves more.
func TestFloor(t *testing.T) {
	m := nettest.RandomModel(nettest.Configs(polynet.Pi1x1)[0], nettest.Rand(5))
	d, previous := testData(t, m), int64(math.MaxInt64)
	for _, floor := range []float64{0, 10, 40, 100} {
		got, _, err := (&Similar{Floor: floor, By: BySimilarity, Fold: FoldAll, Lanes: 1}).Apply(t.Context(), m, d)
		if err != nil {
			t.Fatal(err)
		}
		if accuracy, _ := d.Accuracy(t.Context(), got); accuracy < 100-floor || MACs(got) > previous {
			t.Errorf("floor %g: %g %% and %d multiply-adds after %d", floor, accuracy, MACs(got), previous)
		}
		previous = MACs(got)
	}
	if previous*2 > MACs(m) {
		t.Errorf("with any accuracy, %d of %d multiply-adds stay", previous, MACs(m))
	}
}

// TestImpossibleShares names the least that a network can be brought to.
func TestImpossibleShares(t *testing.T) {
	m := nettest.RandomModel(nettest.Configs(polynet.Star)[0], nettest.Rand(5))
	for _, share := range []float64{1e-9, 0.001, 0.01} {
		_, _, err := (&Similar{MACs: share, By: ByScale, Fold: FoldNone, Lanes: 4}).Apply(t.Context(), m, testData(t, m))
		if !errors.Is(err, ErrImpossible) || !strings.Contains(err.Error(), "stay at least, in widths of 4") {
			t.Errorf("%g: %v", share, err)
		}
	}
}

// TestStagesOfOneWidth keeps two stages of different widths apart where only that makes their skip a convolution.
func TestStagesOfOneWidth(t *testing.T) {
	c := nettest.Tiny(polynet.Pi)
	c.Stages[1].Stride = 1
	m := nettest.RandomModel(c, nettest.Rand(5))
	got, _, err := (&Similar{MACs: 0.3, By: ByRandom, Fold: FoldAll, Lanes: 2}).Apply(t.Context(), m, testData(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if got.Net.Stages[0].Width == got.Net.Stages[1].Width {
		t.Errorf("widths %+v", got.Net.Stages)
	}
}

// TestClusterFiles draws trees and writes the table of a network's channels.
func TestClusterFiles(t *testing.T) {
	m := nettest.RandomModel(nettest.Tiny(polynet.Star), nettest.Rand(5))
	dir := filepath.Join(t.TempDir(), "clusters")
	s := &Similar{MACs: 0.6, By: BySimilarity, Fold: FoldPair, Lanes: 1, Clusters: dir}
	if _, _, err := s.Apply(t.Context(), m, testData(t, m)); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(dir, "clusters.csv"))
	channels := 0
	for _, g := range channelsOf(m.Net).groups {
		channels += g.width
		if svg, err := os.ReadFile(filepath.Join(dir, g.name+".svg")); err != nil || !bytes.Contains(svg, []byte("<svg")) {
			t.Errorf("%s: %v", g.name, err)
		}
	}
	if err != nil || strings.Count(string(table), "\n") != channels+1 ||
		!strings.HasPrefix(string(table), "group,channel,kept,representative,score,joins_at\nstem.conv,0,") {
		t.Errorf("%v\n%s", err, table)
	}
}

// TestCosts compares the cost of a channel with the multiply-adds that a network of one less takes: the same, but where
// a convolution from the channels to themselves loses a row and a column that have one weight in common.
func TestCosts(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		m := nettest.RandomModel(nettest.Configs(kind)[0], nettest.Rand(5))
		c, before := channelsOf(m.Net), float64(MACs(m))
		costs := c.costs(m.Features.Frames(m.Features.Rate))
		for i := range c.groups {
			small, widths := *m, []int{}
			for _, g := range c.groups {
				widths = append(widths, g.width)
			}
			widths[i]--
			var err error
			if small.Net, err = c.resize(widths); err != nil {
				continue // two stages become of one width
			}
			if want := 100 * (1 - float64(MACs(&small))/before); costs[i] < want-1e-9 || costs[i] > 1.03*want {
				t.Errorf("%s: a channel of %s takes %g %%, want %g %%", kind, c.groups[i].name, costs[i], want)
			}
		}
	}
}

// TestPowers keeps of the networks that each way to weigh costs gives the one that changes the probabilities the least,
// with a floor the smallest, and without data looks at no clip to choose.
func TestPowers(t *testing.T) {
	all := powers
	defer func() { powers = all }()
	for _, kind := range []polynet.BlockKind{polynet.ReLU, polynet.PiReLU, polynet.Star} {
		m := nettest.RandomModel(nettest.Configs(kind)[1], nettest.Rand(11))
		d := testData(t, m)
		apply := func(s Similar, list ...float64) *polynet.Model {
			powers = list
			s.By, s.Fold, s.Lanes = BySimilarity, FoldAll, 1
			got, _, err := s.Apply(t.Context(), m, d)
			if err != nil {
				t.Fatalf("%s, powers %v: %v", kind, list, err)
			}
			return got
		}
		given, err := probabilities(t.Context(), m, d)
		if err != nil {
			t.Fatal(err)
		}
		changed := func(n *polynet.Model) float64 {
			v, err := divergence(t.Context(), given, n, d)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if v := changed(m); v != 0 {
			t.Errorf("%s: it differs from itself by %g", kind, v)
		}
		least, smallest, different := math.Inf(1), int64(math.MaxInt64), map[int64]bool{}
		for _, power := range all {
			n := apply(Similar{MACs: 0.4}, power)
			least, different[MACs(n)] = min(least, changed(n)), true
			smallest = min(smallest, MACs(apply(Similar{Floor: 20}, power)))
		}
		if got := changed(apply(Similar{MACs: 0.4}, all...)); got != least || !(least > 0) || len(different) < 2 {
			t.Errorf("%s: a divergence of %g, want %g; networks of %v multiply-adds", kind, got, least, different)
		}
		if got := MACs(apply(Similar{Floor: 20}, all...)); got != smallest {
			t.Errorf("%s: %d multiply-adds with a floor, want %d", kind, got, smallest)
		}
		d.Device = nil
		apply(Similar{MACs: 0.4, DataFree: true}, all...)
	}
}
