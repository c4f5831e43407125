package polynet

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gorgonia.org/tensor"
)

// Precision says how a step's weights, and the rows that it multiplies, are stored.
type Precision int

// The precisions. In memory a narrow weight is a tensor of int8 of the usual shape.
const (
	Float32 Precision = iota
	Int8              // weights from -127 to 127, times a scale of their column; rows rounded to -127 … 127, times a scale
	Ternary           // weights -1, 0 or 1, times a scale of their column; rows as of Int8
)

// MaxLevel is the largest level of an int8 weight and of a rounded value; the smallest is -MaxLevel.
const MaxLevel = 127

// maxNarrowSum is how many products a narrow step may add up: each is at most 255·127 where weights are made unsigned,
// so that sums fit 32 bits.
const maxNarrowSum = 1 << 16

var precisions = []string{Float32: "float32", Int8: "int8", Ternary: "ternary"}

// String returns "float32", "int8" or "ternary".
func (p Precision) String() string { return precisions[p] }

// MarshalText returns what String does.
func (p Precision) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText sets p to the named precision.
func (p *Precision) UnmarshalText(text []byte) error {
	i := slices.Index(precisions, string(text))
	if i < 0 {
		return fmt.Errorf("weights of %.40q are none of %s", text, strings.Join(precisions, ", "))
	}
	*p = Precision(i)
	return nil
}

// levels returns the largest level of a weight.
func (p Precision) levels() int8 {
	if p == Ternary {
		return 1
	}
	return MaxLevel
}

// Bits returns the bits that a weight takes in a file; five ternary ones share a byte.
func (p Precision) Bits() float64 { return []float64{Float32: 32, Int8: 8, Ternary: 1.6}[p] }

// Narrow says which weights are stored in few bits: those of the blocks' convolutions, and of the stem and the head
// where it says so. Depthwise convolutions, norms and scales stay float32. So do the rows that the head multiplies: in
// streams it comes before the mean over time, in clips after it, and rounding would make a difference of that.
type Narrow struct {
	Weights Precision `json:"weights"` // Int8 or Ternary
	Stem    bool      `json:"stem,omitempty"`
	Head    bool      `json:"head,omitempty"`
}

func (n *Narrow) validate() error {
	if n != nil && n.Weights != Int8 && n.Weights != Ternary {
		return fmt.Errorf("%w: narrow weights of %s", ErrConfig, n.Weights)
	}
	return nil
}

// Precision returns that of the blocks' convolutions.
func (c Config) Precision() Precision {
	if c.Narrow == nil {
		return Float32
	}
	return c.Narrow.Weights
}

// narrows reports whether a step's weight is narrow.
func (n *Narrow) narrows(s *Step) bool {
	return s.Op == OpConv && (s.Part != "stem" || n.Stem) || s.Op == OpLinear && n.Head
}

// The names of a narrow step's scales, after that of its weight without ".weight".
const weightScale, inputScale = ".weight_scale", ".input_scale"

// WeightScale returns the name of the scales of a narrow weight.
func WeightScale(weight string) string { return strings.TrimSuffix(weight, ".weight") + weightScale }

// unsetScale is the InputScale of a network that has seen no data.
const unsetScale = 1e-30

// narrow makes steps narrow and lists their scales, each after its weight.
func (p *Program) narrow(n *Narrow) {
	named := map[string]*Step{}
	for i := range p.Steps {
		if s := &p.Steps[i]; n.narrows(s) {
			s.Precision, s.WeightScale = n.Weights, WeightScale(s.Weight)
			if s.Op == OpConv {
				s.InputScale = strings.TrimSuffix(s.Weight, ".weight") + inputScale
			}
			named[s.Weight] = s
		}
	}
	var all []Weight
	for _, w := range p.Weights {
		s := named[w.Name]
		if s == nil {
			all = append(all, w)
			continue
		}
		w.Precision = n.Weights
		all = append(all, w, Weight{Name: s.WeightScale, Shape: []int{s.Width}, Kind: Running, Init: 1})
		if s.InputScale != "" {
			all = append(all, Weight{Name: s.InputScale, Shape: []int{1}, Kind: Running, Init: unsetScale})
		}
	}
	p.Weights = all
}

// checkSums returns an error where a narrow step adds up more products than 32 bits hold.
func (p *Program) checkSums() error {
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Precision != Float32 && s.Kernel*s.In > maxNarrowSum {
			return fmt.Errorf("%w: %s adds up %d products, at most %d are possible with narrow weights",
				ErrConfig, s.Name, s.Kernel*s.In, maxNarrowSum)
		}
	}
	return nil
}

// Levels returns the values of a narrow weight.
func (w Weights) Levels(name string) []int8 { return w[name].Data().([]int8) }

// checkLevels checks a narrow weight's values.
func (w Weight) checkLevels(t *tensor.Dense) error {
	values, ok := t.Data().([]int8)
	if !ok || int64(len(values)) != w.Len() {
		return fmt.Errorf("holds %v, want %d contiguous int8 values", t.Dtype(), w.Len())
	}
	most := w.Precision.levels()
	for i, v := range values {
		if v > most || v < -most {
			return fmt.Errorf("has the value %d at %d, levels of %s are at most %d", v, i, w.Precision, most)
		}
	}
	return nil
}

// ternaryShare is the threshold of ternary weights, relative to their mean magnitude.
const ternaryShare = 0.7

// Quantise returns the levels and the scale of each column of a (rows, width) matrix. Those of Int8 divide the column's
// largest magnitude into MaxLevel steps. Those of Ternary are as in Ternary Weight Networks (Li et al., 2016), but for
// each column: weights above 0.7 times the mean magnitude are ±1, times their mean magnitude. A column of zeros has
// scale 1.
func (p Precision) Quantise(values []float32, width int) (levels []int8, scales []float32) {
	levels, scales = make([]int8, len(values)), make([]float32, width)
	for c := range scales {
		var largest, sum, kept float64
		for i := c; i < len(values); i += width {
			v := math.Abs(float64(values[i]))
			largest, sum = max(largest, v), sum+v
		}
		scale, threshold, n := largest/MaxLevel, ternaryShare*sum/float64(len(values)/width), 0
		if p == Ternary {
			for i := c; i < len(values); i += width {
				if v := math.Abs(float64(values[i])); v > threshold {
					kept, n = kept+v, n+1
				}
			}
			scale = kept / float64(n)
		}
		if scales[c] = 1; !(largest == 0) { // not where a weight is not finite
			scales[c] = float32(scale)
		}
		for i := c; i < len(values); i += width {
			v := float64(values[i])
			switch {
			case p == Int8:
				levels[i] = int8(max(-MaxLevel, min(math.RoundToEven(v/float64(scales[c])), MaxLevel)))
			case math.Abs(v) > threshold:
				levels[i] = int8(math.Copysign(1, v))
			}
		}
	}
	return levels, scales
}

// Expand returns the weights that levels and the scales of their columns stand for.
func Expand(levels []int8, scales []float32) []float32 {
	values := make([]float32, len(levels))
	for i, v := range levels {
		values[i] = float32(v) * scales[i%len(scales)]
	}
	return values
}

// RoundTo sets dst, whose length counts, to x rounded to whole multiples of scale, ties to even, from -MaxLevel to
// MaxLevel of them. dst may be x.
func RoundTo(dst, x []float32, scale float32) {
	const whole = 3 << 22 // added to a float32 of a few hundred it leaves no fraction
	for i := range dst {
		v := x[i] / scale
		if v > MaxLevel {
			v = MaxLevel
		} else if v < -MaxLevel {
			v = -MaxLevel
		}
		dst[i] = scale * (float32(v+whole) - whole)
	}
}

// ExpandNarrow returns the program and the weights with the narrow steps made float32 ones: OpRound rounds what
// convolutions read. Sums apart, which are exact integers in narrow steps, both compute the same. w stays as it is.
func (p *Program) ExpandNarrow(w Weights) (*Program, Weights) {
	q, expanded := &Program{Inputs: p.Inputs}, Weights{}
	renamed := make([]Tensor, len(p.Steps)+2) // tensors of q, by those of p
	renamed[Input] = Input
	type rounding struct {
		x     Tensor
		scale float32
	}
	rounded := map[rounding]Tensor{}
	dropped := map[string]bool{}
	for i, s := range p.Steps {
		x := renamed[s.X]
		if s.InputScale != "" {
			key := rounding{x, w.values(s.InputScale)[0]}
			if rounded[key] == NoTensor {
				q.Steps = append(q.Steps, Step{
					Op: OpRound, Name: s.Name + ".round", Part: s.Part, Width: s.In, X: x, InputScale: s.InputScale,
				})
				rounded[key] = Output(len(q.Steps) - 1)
			} else {
				dropped[s.InputScale] = true
			}
			x = rounded[key]
		}
		if s.Precision != Float32 {
			expanded[s.Weight] = tensor.New(tensor.WithShape(w[s.Weight].Shape()...),
				tensor.WithBacking(Expand(w.Levels(s.Weight), w.values(s.WeightScale))))
			dropped[s.WeightScale] = true
			s.Precision, s.WeightScale, s.InputScale = Float32, "", ""
		}
		s.X, s.Y, s.Skip, s.Add = x, renamed[s.Y], renamed[s.Skip], renamed[s.Add]
		q.Steps = append(q.Steps, s)
		renamed[Output(i)] = Output(len(q.Steps) - 1)
	}
	for _, s := range p.Weights {
		if dropped[s.Name] {
			continue
		}
		if s.Precision = Float32; expanded[s.Name] == nil {
			expanded[s.Name] = w[s.Name]
		}
		q.Weights = append(q.Weights, s)
	}
	return q, expanded
}
