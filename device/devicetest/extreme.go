package devicetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
)

// extreme is a kind of operands that are no ordinary values.
type extreme struct {
	name string
	draw func(rng *rand.Rand) float32
	// overflows says that steps on the way may exceed float32 where the reference, which computes in float64, does not.
	// Its operands are positive, since what exceeds float32 cannot cancel.
	overflows bool
}

// rarely returns one of values now and then, and else an ordinary one.
func rarely(values ...float64) func(rng *rand.Rand) float32 {
	return func(rng *rand.Rand) float32 {
		if rng.IntN(40) == 0 {
			return float32(values[rng.IntN(len(values))])
		}
		return ordinary(rng)
	}
}

func scaled(by float64) func(rng *rand.Rand) float32 {
	return func(rng *rand.Rand) float32 { return float32(by * float64(ordinary(rng))) }
}

var extremes = []extreme{
	{"tiny", scaled(1e-38), false}, // most are subnormal
	{"smallest", scaled(1e-44), false},
	{"large", scaled(1e9), false}, // products of four are below the greatest float32
	{"greatest", func(rng *rand.Rand) float32 { return float32(1e38 * math.Abs(float64(ordinary(rng)))) }, true},
	{"NaN", rarely(math.NaN()), false},
	{"infinite", rarely(math.Inf(1), math.Inf(-1)), false},
	{"NaN and infinite", rarely(math.NaN(), math.Inf(1), math.Inf(-1)), false},
}

// loose are the operations that sum or normalise: where the reference's result is infinite, theirs may be NaN, and the
// other way round, since they add corrections (Moments) or take another order.
var loose = []string{"Moments", "GradSums", "AvgPool", "Loss", "Norm", "AdamW", "SGD", "ClipNorm", "EMAUpdate"}

// Winograd's algorithms combine windows, so that what is not finite in one spreads to those beside it.
func spreads(op string) bool {
	return strings.HasPrefix(op, "MatMul windows") || strings.HasPrefix(op, "MatMulTransA")
}

// Extreme checks every operation on d against the reference with tiny, large, infinite and NaN operands: where the
// reference's result is NaN, d's is NaN, and where it is infinite, d's is the same infinity (see loose). Finite results
// differ by at most the case's tolerance times the largest of them, and the last places of subnormal terms.
func Extreme(t *testing.T, d, reference device.Trainer, slack float64) {
	for _, e := range extremes {
		for _, c := range extremeCases() {
			if c.flops > 0 {
				c.tolerance *= slack
			}
			c.draw = e.draw
			t.Run(e.name+"/"+c.name(), func(t *testing.T) {
				got := outcome(c, d)
				for name, w := range outcome(c, reference) {
					if err := e.alike(c, got[name], w); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
		}
	}
}

func extremeCases() []testCase {
	plain := []shape{
		{groups: 1, rows: 2, cols: 19}, {groups: 3, rows: 13, cols: 17, gap: 5}, {groups: 2, rows: 51, cols: 40},
	}
	return table(plain, plain, []shape{
		{groups: 1, rows: 1, cols: 19, depth: 128, step: 128},
		{groups: 3, rows: 13, cols: 48, depth: 90, step: 10, gap: 20},
		{groups: 3, rows: 51, cols: 48, depth: 72, step: 24},
		{groups: 2, rows: 77, cols: 50, depth: 150, step: 30},
		{groups: 2, rows: 25, cols: 30, depth: 31, step: 31},
	}, []shape{
		{groups: 1, rows: 1, cols: 19, depth: 171, step: 19},
		{groups: 3, rows: 13, cols: 48, depth: 432, step: 48, gap: 20},
		{groups: 2, rows: 51, cols: 24, depth: 72, step: 24},
	})
}

// alike compares results.
func (e *extreme) alike(c testCase, got, want []float32) error {
	scale := 0.0
	if strings.HasPrefix(c.op, "Loss") {
		scale = 1 // that of the probabilities which gradients are differences of
	}
	for _, w := range want {
		if v := math.Abs(float64(w)); v <= math.MaxFloat32 {
			scale = max(scale, v)
		}
	}
	lax := e.overflows || isLoose(c.op) || spreads(c.op)
	for i, w := range want {
		g := got[i]
		switch {
		case math.Float32bits(g) == math.Float32bits(w):
		case !finite(w) && !finite(g) && (lax || w != w && g != g):
		case finite(w) && !finite(g) && (e.overflows || spreads(c.op)):
		case finite(w) && finite(g) && math.Abs(float64(g)-float64(w)) <= c.tolerance*scale+float64(c.terms())*0x1p-148:
		default:
			return fmt.Errorf("value %d is %v, want %v (the largest is %g)", i-guard, g, w, scale)
		}
	}
	return nil
}

// terms is how many values are summed at most, each rounded to a subnormal number.
func (c testCase) terms() int { return 8 * (1 + c.depth + c.groups*c.rows) }

func isLoose(op string) bool {
	for _, prefix := range loose {
		if strings.HasPrefix(op, prefix) {
			return true
		}
	}
	return false
}

func finite(v float32) bool { return v-v == 0 }
