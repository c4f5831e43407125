package polynet

import (
	"errors"
	"fmt"
	"time"

	"github.com/polyphon/polyphon/features"
)

// BlockKind says how a residual block joins its branch F(x) with its skip S(x).
type BlockKind string

// The block kinds. BN is batch norm, ∘ the Hadamard product, a a learned scalar that starts at 0.
const (
	Linear BlockKind = "linear" // F + S
	ReLU   BlockKind = "relu"   // max(F + S, 0), and max(·, 0) after the stem's and the first norm
	Pi     BlockKind = "pi"     // F + S + a·BN(F∘S)          (Chrysos et al., 2020, "PiNet")
	Pi1x1  BlockKind = "pi1x1"  // F + S + a·BN(conv1x1(F∘S)) (ibid., "PiNet-1x1")
)

// BlockKinds lists the block kinds in the order that they are documented.
var BlockKinds = []BlockKind{Linear, ReLU, Pi, Pi1x1}

// ErrConfig marks a network or model configuration that cannot be built.
var ErrConfig = errors.New("invalid configuration")

// Stem is the convolution between the features and the first stage, followed by a batch norm.
type Stem struct {
	Width  int `json:"width"`  // output channels
	Kernel int `json:"kernel"` // rows
	Ahead  int `json:"ahead"`  // rows of lookahead, 0 ≤ Ahead < Kernel
	Stride int `json:"stride"` // rows
}

// Stage is a run of residual blocks of one width.
type Stage struct {
	Width  int `json:"width"`  // channels
	Blocks int `json:"blocks"` // residual blocks, two convolutions each
	Kernel int `json:"kernel"` // rows of each convolution
	Ahead  int `json:"ahead"`  // rows of lookahead of each convolution, 0 ≤ Ahead < Kernel
	Stride int `json:"stride"` // of the first block's first convolution
}

// Config describes a network: stem, stages, mean over time, dropout, linear head.
//
// A convolution with kernel K, lookahead A and stride S computes its output row t from the input rows
// t·S−(K−1−A) … t·S+A, rows outside the clip counting as zero; T rows in give ceil(T/S) rows out.
type Config struct {
	Inputs  int       `json:"inputs"`  // features a row (mels)
	Classes int       `json:"classes"` // labels
	Block   BlockKind `json:"block"`
	Stem    Stem      `json:"stem"`
	Stages  []Stage   `json:"stages"`
	Dropout float64   `json:"dropout"` // probability of zeroing a pooled feature while training
}

// maxStride bounds the rows of features for one of the last stage.
const maxStride = 1 << 16

// Validate returns an error wrapping ErrConfig that names the field when c cannot be built.
func (c Config) Validate() error {
	conv := func(name string, width, kernel, ahead, stride int) error {
		switch {
		case width < 1 || width > 1<<14:
			return fmt.Errorf("%w: %s: width %d", ErrConfig, name, width)
		case kernel < 1 || kernel > 1<<10:
			return fmt.Errorf("%w: %s: kernel %d", ErrConfig, name, kernel)
		case ahead < 0 || ahead >= kernel:
			return fmt.Errorf("%w: %s: lookahead %d of a kernel of %d", ErrConfig, name, ahead, kernel)
		case stride < 1 || stride > 64:
			return fmt.Errorf("%w: %s: stride %d", ErrConfig, name, stride)
		}
		return nil
	}
	switch {
	case c.Inputs < 1 || c.Inputs > 1<<12:
		return fmt.Errorf("%w: %d inputs", ErrConfig, c.Inputs)
	case c.Classes < 1 || c.Classes > 1<<16:
		return fmt.Errorf("%w: %d classes", ErrConfig, c.Classes)
	case len(c.Stages) < 1 || len(c.Stages) > 64:
		return fmt.Errorf("%w: %d stages", ErrConfig, len(c.Stages))
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("%w: dropout %g", ErrConfig, c.Dropout)
	}
	switch c.Block {
	case Linear, ReLU, Pi, Pi1x1:
	default:
		return fmt.Errorf("%w: unknown block kind %q", ErrConfig, c.Block)
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
		if s.Blocks < 1 || s.Blocks > 256 {
			return fmt.Errorf("%w: %s: %d blocks", ErrConfig, name, s.Blocks)
		}
		if stride *= s.Stride; stride > maxStride {
			return fmt.Errorf("%w: %s: a row for %d frames", ErrConfig, name, stride)
		}
	}
	return nil
}

// totalStride returns how many frames of features lie between two rows of the last stage.
func (c Config) totalStride() int {
	stride := c.Stem.Stride
	for _, s := range c.Stages {
		stride *= s.Stride
	}
	return stride
}

// Lookahead returns how much sound behind an instant the network hears before it answers for it: the sum of its
// convolutions' lookaheads, with rows of the given hop.
func (c Config) Lookahead(f features.Config) time.Duration {
	_, ahead, _ := c.reach()
	return time.Duration(ahead) * time.Second * time.Duration(f.Hop) / time.Duration(f.Rate)
}

// reach returns how many rows of features before and behind its own one a row of the last stage depends on, and how many
// rows of features lie between two rows of the last stage.
func (c Config) reach() (back, ahead, stride int) {
	stride = 1
	conv := func(kernel, a, s int) {
		back += (kernel - 1 - a) * stride
		ahead += a * stride
		stride *= s
	}
	conv(c.Stem.Kernel, c.Stem.Ahead, c.Stem.Stride)
	for _, b := range c.blocks() {
		conv(b.kernel, b.ahead, b.stride)
		conv(b.kernel, b.ahead, 1)
	}
	return back, ahead, stride
}
