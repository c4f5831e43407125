package training

import (
	"errors"
	"fmt"
	"math"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// ErrConfig marks a training configuration that cannot be run.
var ErrConfig = errors.New("invalid training configuration")

// OptimizerKind names an optimiser.
type OptimizerKind string

// The optimisers.
const (
	SGD   OptimizerKind = "sgd"   // Nesterov momentum
	AdamW OptimizerKind = "adamw" // decoupled weight decay
)

// Config is everything that decides what a training run computes; with the same data, seed and device kind, the same
// Config gives the same weights bit for bit. It is stored in the checkpoint, and resuming asks for the same one.
type Config struct {
	Net      polynet.Config  `json:"net"`
	Features features.Config `json:"features"`
	Window   float64         `json:"window"` // seconds of sound in one example
	Limit    float64         `json:"limit"`  // of normalised features, in deviations; 0: none

	Epochs    int           `json:"epochs"`
	Batch     int           `json:"batch"`
	Optimizer OptimizerKind `json:"optimizer"`
	Rate      float64       `json:"rate"`            // peak learning rate
	Warmup    float64       `json:"warmup"`          // epochs of linear warm-up; a cosine to zero follows
	Drops     []int         `json:"drops,omitempty"` // epochs behind which the rate falls to a tenth, instead of the cosine
	Decay     float64       `json:"decay"`           // weight decay, not on norms, biases and the product's factor
	Momentum  float64       `json:"momentum"`        // SGD only
	Clip      float64       `json:"clip"`            // limit of the gradient's Euclidean norm; 0: none
	Smoothing float64       `json:"smoothing"`
	EMA       float64       `json:"ema"`     // decay of the weights' moving average, which is what is kept; 0: none
	Balance   float64       `json:"balance"` // how far labels are evened out, 0 to 1; see datasets.LoaderConfig
	Seed      int64         `json:"seed"`
	Mixup     float64       `json:"mixup,omitempty"` // the parameter of mixup's beta distribution; 0: no mixup

	// Teachers are the digests of the models that teach, set by New, and Taught is how much of the targets is their answers.
	Teachers []string `json:"teachers,omitempty"`
	Taught   float64  `json:"taught,omitempty"`

	Context datasets.Context `json:"context"` // around the window of some batches
	Augment datasets.Augment `json:"augment"`
	Mask    features.Mask    `json:"mask"`
}

// Validate returns an error wrapping ErrConfig that names the setting when c cannot be run.
func (c Config) Validate() error {
	within := func(name string, v, low, high float64) error {
		if !(v >= low && v <= high) {
			return fmt.Errorf("%w: %s %g is not in %g…%g", ErrConfig, name, v, low, high)
		}
		return nil
	}
	if c.Optimizer != SGD && c.Optimizer != AdamW {
		return fmt.Errorf("%w: unknown optimizer %q", ErrConfig, c.Optimizer)
	}
	below1 := math.Nextafter(1, 0)
	return errors.Join(
		within("window", c.Window, 0.05, 60),
		within("limit", c.Limit, 0, 1e3),
		within("epochs", float64(c.Epochs), 1, 1e6),
		within("batch", float64(c.Batch), 2, 1<<16),
		within("learning rate", c.Rate, math.SmallestNonzeroFloat32, 1e3),
		within("warm-up", c.Warmup, 0, float64(c.Epochs)),
		within("weight decay", c.Decay, 0, 10),
		within("momentum", c.Momentum, 0, below1),
		within("gradient clip", c.Clip, 0, math.MaxFloat32),
		within("label smoothing", c.Smoothing, 0, below1),
		within("balance", c.Balance, 0, 1),
		within("EMA decay", c.EMA, 0, below1),
		within("mixup", c.Mixup, 0, 100),
		within("share of the teachers' answers", c.Taught, 0, 1),
		c.validateDrops(),
		c.Context.Validate(),
	)
}

func (c Config) validateDrops() error {
	for i, epoch := range c.Drops {
		if epoch < 1 || epoch >= c.Epochs || i > 0 && epoch <= c.Drops[i-1] {
			return fmt.Errorf("%w: the rate cannot fall behind the epochs %v of %d", ErrConfig, c.Drops, c.Epochs)
		}
	}
	return nil
}
