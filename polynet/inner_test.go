package polynet_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// TestHostileInnerWidths checks that inner widths which fit no network are refused by name, before anything of their
// size is allocated.
func TestHostileInnerWidths(t *testing.T) {
	for _, c := range []struct {
		kind  polynet.BlockKind
		inner [][]int
		says  string
	}{
		{polynet.Pi, [][]int{{3}, {3}}, "inner widths of 2 blocks, the stages have 3"},
		{polynet.Pi, [][]int{{3}, {3}, {3}, {3}}, "inner widths of 4 blocks, the stages have 3"},
		{polynet.Pi, [][]int{{3}, {}, {3}}, "block 1: 0 inner widths, pi blocks have 1"},
		{polynet.Pi, [][]int{{3}, nil, {3}}, "block 1: 0 inner widths, pi blocks have 1"},
		{polynet.Star, [][]int{{3}, {3}, {3, 3}}, "block 2: 2 inner widths, star blocks have 1"},
		{polynet.Mu, [][]int{{3, 3, 3, 3}, {3, 3, 3, 3}, {3}}, "block 2: 1 inner widths, mu blocks have 4"},
		{polynet.NCP, [][]int{{3, 3}, {3, 3, 3}, {3, 3, 3}}, "block 0: 2 inner widths, ncp blocks have 3"},
		{polynet.Linear, [][]int{{3}, {0}, {3}}, "block 1: inner width 0"},
		{polynet.Linear, [][]int{{3}, {-7}, {3}}, "block 1: inner width -7"},
		{polynet.CCP, [][]int{{3}, {3}, {1<<14 + 1}}, "block 2: inner width 16385"},
		{polynet.ReLU, [][]int{{math.MaxInt}, {3}, {3}}, "block 0: inner width"},
	} {
		net := nettest.Tiny(c.kind)
		net.Inner = c.inner
		if err := net.Validate(); !errors.Is(err, polynet.ErrConfig) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s, %v: %v, want %q", c.kind, c.inner, err, c.says)
		}
	}
	wide := nettest.Tiny(polynet.Mu) // each within its limit, all together not
	wide.Stages[1].Width = 1 << 13
	wide.Inner = slices.Repeat([][]int{{1 << 14, 1 << 14, 1 << 14, 1 << 14}}, 3)
	if err := wide.Validate(); !errors.Is(err, polynet.ErrConfig) || !strings.Contains(err.Error(), "weights, at most") {
		t.Errorf("inner widths of 16384: %v", err)
	}
}

// TestResize gives each set of channels another width, and the widths that the stages make.
func TestResize(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		for i, c := range nettest.Configs(kind) {
			p := c.Program()
			same, err := c.Resize(func(x polynet.Tensor) int { return p.Steps[x-polynet.Output(0)].Width })
			if err != nil || !slices.EqualFunc(same.Inner, c.Inner, slices.Equal) {
				t.Errorf("%s, network %d: its own widths make %+v, %v", kind, i, same, err)
			}
			twice, err := c.Resize(func(x polynet.Tensor) int { return 2 * p.Steps[x-polynet.Output(0)].Width })
			if err != nil {
				t.Errorf("%s, network %d: %v", kind, i, err)
				continue
			}
			for k, s := range twice.Program().Steps[:len(p.Steps)-1] {
				if s.Width != 2*p.Steps[k].Width {
					t.Errorf("%s, network %d: %s has %d channels, want %d", kind, i, s.Name, s.Width, 2*p.Steps[k].Width)
				}
			}
		}
	}
	c := nettest.Tiny(polynet.Pi)
	c.Stages[1].Stride = 1
	p := c.Program()
	_, err := c.Resize(func(x polynet.Tensor) int { // the same width in both stages: the skip is no convolution any more
		return min(p.Steps[x-polynet.Output(0)].Width, 8)
	})
	if !errors.Is(err, polynet.ErrConfig) || !strings.Contains(err.Error(), "steps") {
		t.Errorf("a skip that is no convolution any more: %v", err)
	}
}
