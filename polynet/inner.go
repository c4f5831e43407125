package polynet

import (
	"fmt"
	"slices"
)

// innerSteps names, within a block, the steps whose widths are Config.Inner's numbers of that block: one for each set
// of channels that only the block itself reads.
func (c Config) innerSteps() []string {
	switch c.Block {
	case Star:
		return []string{"a.conv"}
	case NCP, NCPSkip:
		var names []string
		for n := range c.Degree {
			names = append(names, fmt.Sprintf("conv%d", n+1))
		}
		return names
	case Mu:
		return []string{"time.a.conv", "time.low", "mix.a.conv", "mix.low"}
	}
	return []string{"conv1"}
}

// checkInner checks Inner. Kind, degree and stages must be valid.
func (c Config) checkInner() error {
	blocks, each := 0, len(c.innerSteps())
	for _, s := range c.Stages {
		blocks += s.Blocks
	}
	if n := len(c.Inner); n != 0 && n != blocks {
		return fmt.Errorf("%w: inner widths of %d blocks, the stages have %d", ErrConfig, n, blocks)
	}
	for i, widths := range c.Inner {
		if len(widths) != each {
			return fmt.Errorf("%w: block %d: %d inner widths, %s blocks have %d", ErrConfig, i, len(widths), c.Block, each)
		}
		for _, width := range widths {
			if width < 1 || width > maxWidth {
				return fmt.Errorf("%w: block %d: inner width %d", ErrConfig, i, width)
			}
		}
	}
	return nil
}

// Resize returns c with other widths, which width gives for the tensors of c.Program: of the stem, of each stage, and
// within each block. Blocks of a stage, and what a skip adds, must have the same. An error that wraps ErrConfig says
// that no Config has these widths: one is none, or two that were equal differ, or the other way round, so that a skip
// would begin or cease to be a convolution. c must be valid.
func (c Config) Resize(width func(t Tensor) int) (Config, error) {
	p, q := c.Program(), c
	outputs, named := map[string]Tensor{}, map[string]Tensor{}
	for i, s := range p.Steps {
		outputs[s.Part], named[s.Name] = Output(i), Output(i)
	}
	q.Stem.Width, q.Stages, q.Inner = width(outputs["stem"]), slices.Clone(c.Stages), nil
	for i := range q.Stages {
		q.Stages[i].Width = width(outputs[fmt.Sprintf("stages.%d.0", i)])
		for j := range q.Stages[i].Blocks {
			var widths []int
			for _, name := range c.innerSteps() {
				widths = append(widths, width(named[fmt.Sprintf("stages.%d.%d.%s", i, j, name)]))
			}
			q.Inner = append(q.Inner, widths)
		}
	}
	if err := q.Validate(); err != nil {
		return c, err
	}
	plain := q
	if plain.Inner = nil; sameWidths(plain.Program(), q.Program()) {
		q = plain
	}
	r := q.Program()
	if len(r.Steps) != len(p.Steps) {
		return c, fmt.Errorf("%w: the widths make %d steps of %d", ErrConfig, len(r.Steps), len(p.Steps))
	}
	for i, s := range r.Steps[:len(r.Steps)-1] {
		if want := width(Output(i)); s.Name != p.Steps[i].Name || s.Width != want {
			return c, fmt.Errorf("%w: %s of width %d instead of %s of %d", ErrConfig, s.Name, s.Width, p.Steps[i].Name, want)
		}
	}
	return q, nil
}

// sameWidths reports whether two programs of the same steps have the same widths.
func sameWidths(p, q *Program) bool {
	return slices.EqualFunc(p.Steps, q.Steps, func(a, b Step) bool { return a.Width == b.Width })
}
