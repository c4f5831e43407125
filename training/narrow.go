package training

import (
	"math"
	"slices"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// A narrow step trains with straight-through gradients (Bengio et al., 2013): its parameters are float32 weights, each
// run takes their levels and scales anew (polynet.Precision.Quantise), and the gradient of what these stand for counts
// as that of the weights. The gradient of a rounded operand counts as that of the operand where it was not
// clamped. This work is the processor's, also where the device has memory of its own.

// narrowing is how a narrow step reads its weight and its operand.
type narrowing struct {
	*polynet.Step
	weight *Param
	input  *Param        // the scale of the operand; nil: it is not rounded
	fixed  device.Buffer // what the levels stand for, where these do not follow from weight
}

// newNarrowing returns nil for a float32 step.
func newNarrowing(s *polynet.Step, params map[string]*Param) *narrowing {
	if s.Precision == polynet.Float32 {
		return nil
	}
	return &narrowing{Step: s, weight: params[s.Weight], input: params[s.InputScale]}
}

// unsetScale is the largest operand's scale that stands for none: no data was seen.
const unsetScale = 1e-20

// weights returns what the weight's levels stand for.
func (n *narrowing) weights(p *Pass) device.Buffer {
	if !n.fixed.Empty() {
		return n.fixed
	}
	w := p.memory.alloc(n.weight.Value.Len())
	p.dev.Upload(w, polynet.Expand(n.Precision.Quantise(download(p.dev, n.weight.Value), n.Width)))
	return w
}

// round returns x rounded, with padding, and the magnitude beyond which values were clamped. In training it moves the
// scale as norms move their running statistics.
func (n *narrowing) round(p *Pass, x Activation) (y Activation, limit float32) {
	scale := download(p.dev, n.input.Value)
	if p.Train {
		now := scaleOf(rowsOf(p.dev, x.View), observed)
		if scale[0] <= unsetScale {
			scale[0] = now
		}
		scale[0] += normMomentum * (now - scale[0])
		p.dev.Upload(n.input.Value, scale)
	}
	y = p.activation(x.Groups, x.Rows, x.Cols)
	eachRow(p.dev, y.View, x.View, func(dst, src []float32) { polynet.RoundTo(dst, src, scale[0]) })
	return y, (polynet.MaxLevel + 0.5) * scale[0]
}

// clamp sets the gradient dx of an operand x to 0 where x was clamped.
func (n *narrowing) clamp(p *Pass, dx, x Activation, limit float32) {
	eachRow(p.dev, dx.View, x.View, func(dst, src []float32) {
		for i := range dst {
			if v := src[i]; v > limit || v < -limit {
				dst[i] = 0
			}
		}
	})
}

// The share of an operand's values, of a sample of so many, that are not clamped.
const observed, sampled = 0.999, 4096

// scaleOf returns the scale at which this share of the values, or of an even sample, is not clamped.
func scaleOf(values []float32, share float64) float32 {
	step := device.CeilDiv(len(values), sampled)
	var sizes []float32
	for i := 0; i < len(values); i += step {
		sizes = append(sizes, float32(math.Abs(float64(values[i]))))
	}
	slices.Sort(sizes)
	at := max(0, int(math.Ceil(share*float64(len(sizes))))-1)
	return max(sizes[at]/polynet.MaxLevel, 2*unsetScale)
}

// eachRow calls f with each row of dst and of src, which have the same shape, and stores what it writes to dst's.
func eachRow(d device.Trainer, dst, src device.View, f func(dst, src []float32)) {
	to, from := dst.Data.Host(), src.Data.Host()
	if to == nil {
		to, from = download(d, dst.Data.Slice(0, dst.Extent())), download(d, src.Data.Slice(0, src.Extent()))
	}
	for g := range dst.Groups {
		for r := range dst.Rows {
			f(to[g*dst.GroupStride+r*dst.RowStride:][:dst.Cols], from[g*src.GroupStride+r*src.RowStride:][:src.Cols])
		}
	}
	if dst.Data.Host() == nil {
		d.Upload(dst.Data.Slice(0, len(to)), to)
	}
}

// put stores a parameter in weights, a narrow one as its levels and scales.
func (n *Network) put(weights polynet.Weights, p *Param) {
	values := download(n.dev, p.Value)
	if p.Precision == polynet.Float32 {
		if weights[p.Name] == nil { // the scales of a narrow weight are already there
			weights[p.Name] = tensor.New(tensor.WithShape(p.Shape...), tensor.WithBacking(values))
		}
		return
	}
	width := p.Shape[len(p.Shape)-1]
	levels, scales := p.Precision.Quantise(values, width)
	weights[p.Name] = tensor.New(tensor.WithShape(p.Shape...), tensor.WithBacking(levels))
	weights[polynet.WeightScale(p.Name)] = tensor.New(tensor.WithShape(width), tensor.WithBacking(scales))
}

// floats returns a weight of a model, of a narrow one what its levels stand for.
func floats(w polynet.Weights, name string) []float32 {
	if values, ok := w[name].Data().([]float32); ok {
		return values
	}
	return polynet.Expand(w.Levels(name), w[polynet.WeightScale(name)].Data().([]float32))
}
