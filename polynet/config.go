// Package polynet says what a network is, apart from how it runs.
//
// A Config describes a network: its stem, its stages of blocks of a BlockKind, its classes. Config.Program turns it
// into a Program, a list of steps on tensors with the names and shapes of their weights. Passes rewrite a Program for
// inference: they drop the steps of training and fold batch norms into convolutions. A Model is a Config with weights,
// labels and feature settings, stored in one file in the safetensors format.
//
// Packages inference, training and export/onnx run, train and export Programs.
package polynet

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/polyphon/polyphon/features"
)

// Errors of this package wrap one of these.
var (
	ErrConfig  = errors.New("invalid configuration")          // a network, or a use of one, that is impossible
	ErrModel   = errors.New("unusable model")                 // a file that is no model, or a Model that is not consistent
	ErrWeights = errors.New("weights do not fit the network") // other names or shapes than the network's
)

// Stem is the convolution between the features and the first stage, followed by a batch norm.
type Stem struct {
	Width  int `json:"width"`  // output channels
	Kernel int `json:"kernel"` // rows
	Ahead  int `json:"ahead"`  // rows of lookahead, 0 ≤ Ahead < Kernel
	Stride int `json:"stride"` // rows
}

// Stage is a run of blocks of one width.
type Stage struct {
	Width  int `json:"width"` // channels
	Blocks int `json:"blocks"`
	Kernel int `json:"kernel"` // rows of each convolution that is no conv1x1
	Ahead  int `json:"ahead"`  // rows of lookahead of each convolution, 0 ≤ Ahead < Kernel
	Stride int `json:"stride"` // of the convolutions that read the first block's input
}

// Config describes a network: stem, stages, mean over time, dropout, linear head.
//
// Tensors are time-major: clips of rows of channels, one row for each frame of features at the input. A convolution
// with kernel K, lookahead A and stride S computes its output row t from the input rows t·S−(K−1−A) … t·S+A, rows
// outside the clip counting as zero; T rows in give ceil(T/S) rows out.
type Config struct {
	Inputs  int       `json:"inputs"`  // features a row (mels)
	Classes int       `json:"classes"` // labels
	Block   BlockKind `json:"block"`
	// Degree is that of each block's polynomial, from 2 to MaxDegree, where Block is a Decomposition, else 0.
	Degree int `json:"degree,omitempty"`
	// Expansion is how many times as many channels as the stage the factors of Star blocks have, 1 to MaxExpansion, or 0
	// for StarExpansion. Other blocks have 0.
	Expansion int `json:"expansion,omitempty"`

	Stem    Stem    `json:"stem"`
	Stages  []Stage `json:"stages"`
	Dropout float64 `json:"dropout"` // probability of zeroing a pooled feature while training

	// Inner has, for each block in order, the widths of what only the block itself reads, where they are not as the
	// stage's width and the kind make them: of the branch's first convolution in residual blocks, of the factors in CCP,
	// of each factor in NCP and NCPSkip, of the factors in Star, and in Mu of the factors and of the low rank, of the
	// first layer and of the second. nil: all are.
	Inner [][]int `json:"inner,omitempty"`

	// Narrow says which weights are stored in few bits. nil: none are.
	Narrow *Narrow `json:"narrow,omitempty"`
}

// Validate returns an error wrapping ErrConfig that names the field when c cannot be built, or is beyond the limits of
// docs/models.md.
func (c Config) Validate() error {
	conv := func(name string, width, kernel, ahead, stride int) error {
		switch {
		case width < 1 || width > maxWidth:
			return fmt.Errorf("%w: %s: width %d", ErrConfig, name, width)
		case kernel < 1 || kernel > maxKernel:
			return fmt.Errorf("%w: %s: kernel %d", ErrConfig, name, kernel)
		case ahead < 0 || ahead >= kernel:
			return fmt.Errorf("%w: %s: lookahead %d of a kernel of %d", ErrConfig, name, ahead, kernel)
		case stride < 1 || stride > maxStride:
			return fmt.Errorf("%w: %s: stride %d", ErrConfig, name, stride)
		}
		return nil
	}
	switch {
	case c.Inputs < 1 || c.Inputs > maxInputs:
		return fmt.Errorf("%w: %d inputs", ErrConfig, c.Inputs)
	case c.Classes < 1 || c.Classes > maxClasses:
		return fmt.Errorf("%w: %d classes", ErrConfig, c.Classes)
	case len(c.Stages) < 1 || len(c.Stages) > maxStages:
		return fmt.Errorf("%w: %d stages", ErrConfig, len(c.Stages))
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("%w: dropout %g", ErrConfig, c.Dropout)
	case c.Block.Retired():
		return fmt.Errorf("%w: blocks of the kind %q are retired: polyphon no longer trains or runs them", ErrConfig, c.Block)
	case !slices.Contains(BlockKinds(), c.Block):
		return fmt.Errorf("%w: unknown block kind %q", ErrConfig, c.Block)
	case c.Block.Decomposition() && (c.Degree < 2 || c.Degree > MaxDegree):
		return fmt.Errorf("%w: %s blocks of degree %d", ErrConfig, c.Block, c.Degree)
	case c.Block == Star && (c.Expansion < 0 || c.Expansion > MaxExpansion):
		return fmt.Errorf("%w: %s blocks of expansion %d", ErrConfig, c.Block, c.Expansion)
	case c.Block != Star && c.Expansion != 0:
		return fmt.Errorf("%w: an expansion of %d for %s blocks, which have none to choose", ErrConfig, c.Expansion, c.Block)
	case !c.Block.Decomposition() && c.Degree != 0:
		return fmt.Errorf("%w: a degree of %d for %s blocks, which have none to choose", ErrConfig, c.Degree, c.Block)
	}
	stride := c.Stem.Stride
	if err := conv("stem", c.Stem.Width, c.Stem.Kernel, c.Stem.Ahead, c.Stem.Stride); err != nil {
		return err
	}
	for i, s := range c.Stages {
		name := fmt.Sprintf("stage %d", i)
		if err := conv(name, s.Width, s.Kernel, s.Ahead, s.Stride); err != nil {
			return err
		}
		if s.Blocks < 1 || s.Blocks > maxBlocks {
			return fmt.Errorf("%w: %s: %d blocks", ErrConfig, name, s.Blocks)
		}
		if stride *= s.Stride; stride > maxStrides {
			return fmt.Errorf("%w: %s: a row for %d frames", ErrConfig, name, stride)
		}
	}
	if err := c.checkInner(); err != nil {
		return err
	}
	if err := c.Narrow.validate(); err != nil {
		return err
	}
	return c.checkSize()
}

// Lookahead returns how much sound after an instant the network needs before it can answer for it: the sum of its
// convolutions' lookaheads, for rows of f's hop. c must be valid.
func (c Config) Lookahead(f features.Config) time.Duration {
	return time.Duration(c.Program().Reach().After) * time.Second * time.Duration(f.Hop) / time.Duration(f.Rate)
}
