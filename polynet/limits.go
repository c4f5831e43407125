package polynet

import (
	"fmt"
	"math"

	"github.com/polyphon/polyphon/features"
)

// Limits of a network and of a model, so that no file of a few kilobytes costs gigabytes or hours. They are checked by
// Config.Validate and Model.Validate with arithmetic alone, before anything of that size is allocated, and lie far
// above what the recipes train. features.Config and detect.Config have limits of their own, and inference.Compile
// bounds the memory of all tensors together. docs/models.md lists them all.
const (
	MaxDegree    = 16  // bounds Config.Degree
	MaxExpansion = 16  // bounds Config.Expansion
	MaxLabel     = 256 // bounds the bytes of a label

	maxInputs   = 1 << 12
	maxClasses  = 1 << 14
	maxStages   = 64
	maxBlocks   = 256     // of a stage
	maxSteps    = 1 << 12 // of a Program, as countedSteps counts them
	maxWidth    = 1 << 14
	maxKernel   = 1 << 10
	maxStride   = 64      // of a convolution
	maxStrides  = 1 << 16 // of all together: rows of features for one of the last stage
	maxContext  = 1 << 16 // rows of features before and after its own that a row of logits depends on
	maxWeights  = 1 << 28 // values
	maxWindow   = 3600    // seconds
	maxSamples  = 1 << 22 // of a window
	maxTensor   = 1 << 21 // values of a tensor, of a window with its context
	maxWork     = 1 << 35 // multiply-adds of a window, as work counts them
	minTemp     = 1e-6
	maxTemp     = 1e6
	vectorLanes = 16 // channels that a convolution of fewer costs as much as
)

// countedSteps returns how many steps the blocks of stages count as: at least as many as they have.
func (c Config) countedSteps() int {
	each := 6
	switch {
	case c.Block.Decomposition():
		each = 4 * c.Degree
	case c.Block == Mu:
		each = 12
	}
	steps := 0
	for _, s := range c.Stages {
		steps += each * s.Blocks
	}
	return steps
}

// checkSize checks what the network's parts amount to. Each part must be within its limits.
func (c Config) checkSize() error {
	if n := c.countedSteps(); n > maxSteps {
		return fmt.Errorf("%w: its blocks make %d steps, at most %d are possible", ErrConfig, n, maxSteps)
	}
	p := c.Program()
	var weights int64
	for _, w := range p.Weights {
		weights += w.Len()
	}
	if weights > maxWeights {
		return fmt.Errorf("%w: %d weights, at most %d are possible", ErrConfig, weights, maxWeights)
	}
	if err := p.checkSums(); err != nil {
		return err
	}
	type extent struct{ rows, stride int64 } // Geometry may overflow where int has 32 bits
	list := make([]extent, len(p.Steps)+2)
	list[Input].stride = 1
	for i := range p.Steps {
		s, e := &p.Steps[i], &list[Output(i)]
		e.stride = list[s.X].stride * int64(s.StrideOver(s.X))
		for _, t := range s.Operands() {
			before, after := s.Reach(t)
			e.rows = max(e.rows, list[t].rows+int64(before+after)*list[t].stride)
		}
		if e.rows > maxContext {
			return fmt.Errorf("%w: %s depends on %d rows of features, at most %d are possible",
				ErrConfig, s.Name, e.rows, maxContext)
		}
	}
	return nil
}

// checkCost checks what a window costs, or a second of sound where the window is shorter, since streams are computed
// for any length of time. The configurations must be valid.
func (m *Model) checkCost() error {
	if samples := m.Window * float64(m.Features.Rate); samples > maxSamples {
		return fmt.Errorf("%w: a window of %g s has %.0f samples at %d Hz, at most %d are possible",
			ErrModel, m.Window, math.Round(samples), m.Features.Rate, maxSamples)
	}
	frames := m.Features.Frames(max(m.WindowSamples(), m.Features.Rate))
	p := m.Net.Program()
	geometry := p.Geometry()
	context := p.Reach()
	tensor := func(name string, width, stride int) error {
		rows := (int64(frames+context.Before+context.After) + int64(stride) - 1) / int64(stride)
		if rows*int64(width) > maxTensor {
			return fmt.Errorf("%w: %s of a window of %g s would have %d rows of %d channels, at most %d values are possible",
				ErrModel, name, m.Window, rows, width, maxTensor)
		}
		return nil
	}
	if err := tensor("the features", p.Inputs, 1); err != nil {
		return err
	}
	for i := range p.Steps {
		if err := tensor(p.Steps[i].Name, p.Steps[i].Width, geometry[Output(i)].Stride); err != nil {
			return err
		}
	}
	if work := p.work(frames) + featureWork(m.Features, frames); work > maxWork {
		return fmt.Errorf("%w: a window of %g s takes %.2g multiply-adds, at most %.2g are possible",
			ErrModel, m.Window, float64(work), float64(maxWork))
	}
	return nil
}

// work returns an upper bound of the time that so many frames take, in multiply-adds of a matrix product: narrow
// convolutions cost what vectorLanes channels cost, and every value has some cost.
func (p *Program) work(frames int) (sum int64) {
	for i, g := range p.Geometry()[Output(0):] {
		s := &p.Steps[i]
		rows := (int64(frames) + int64(g.Stride) - 1) / int64(g.Stride)
		width := (int64(s.Width) + vectorLanes - 1) / vectorLanes * vectorLanes
		sum += rows * width * (int64(s.Kernel)*int64(s.In) + vectorLanes)
	}
	return sum
}

// featureWork is work for the log-mel rows: an FFT of n points takes about 2·n·log₂n multiply-adds.
func featureWork(f features.Config, frames int) int64 {
	return int64(frames) * int64(f.FFT) * int64(2*math.Ilogb(float64(f.FFT))+2)
}
