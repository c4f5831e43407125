package inference

import (
	"fmt"
	"math"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// On devices that multiply bytes, an OpRound makes a byte matrix (device.Narrow) of what narrow convolutions read: its
// Width counts words of four bytes. It follows the step whose result it rounds. If that is a narrow convolution, it
// writes the bytes itself, and its own result only where another step reads it.

// lowerNarrow returns the program and the weights for a device: for one that does not multiply bytes those of
// polynet.ExpandNarrow. w stays as it is.
func lowerNarrow(p *polynet.Program, w polynet.Weights, d device.Device) (*polynet.Program, polynet.Weights, error) {
	if !multipliesBytes(d) {
		q, expanded := p.ExpandNarrow(w)
		return q, expanded, nil
	}
	type rounding struct {
		x     polynet.Tensor // of p
		scale float32
	}
	wanted := map[polynet.Tensor][]*polynet.Step{} // the steps that read a tensor as bytes, the first of each scale
	known := map[rounding]bool{}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.InputScale == "" {
			continue
		}
		key := rounding{s.X, scalar(w, s.InputScale)}
		if inverse := 1 / key.scale; !(inverse > 0 && inverse <= math.MaxFloat32) {
			return nil, nil, fmt.Errorf("%w: tensor %s has the value %v, whose inverse is no float32",
				polynet.ErrModel, s.InputScale, key.scale)
		}
		if !known[key] {
			known[key] = true
			wanted[s.X] = append(wanted[s.X], s)
		}
	}
	q, expanded := &polynet.Program{Inputs: p.Inputs, Weights: p.Weights}, w
	renamed := make([]polynet.Tensor, len(p.Steps)+2) // tensors of q, by those of p
	rounded := map[rounding]polynet.Tensor{}
	add := func(s polynet.Step) polynet.Tensor {
		q.Steps = append(q.Steps, s)
		return polynet.Output(len(q.Steps) - 1)
	}
	made := func(t, as polynet.Tensor) { // tensor t of p is the given one of q
		renamed[t] = as
		for _, s := range wanted[t] {
			rounded[rounding{t, scalar(w, s.InputScale)}] = add(polynet.Step{
				Op: polynet.OpRound, Name: s.Name + ".round", Part: s.Part, Width: device.CeilDiv(s.In, 4), X: as,
				InputScale: s.InputScale,
			})
		}
	}
	made(polynet.Input, polynet.Input)
	for i, s := range p.Steps {
		x := renamed[s.X]
		if s.InputScale != "" {
			x = rounded[rounding{s.X, scalar(w, s.InputScale)}]
		}
		if s.Op == polynet.OpLinear && s.Precision != polynet.Float32 {
			expanded, s = expandLinear(expanded, s)
		}
		s.X, s.Y, s.Skip, s.Add = x, renamed[s.Y], renamed[s.Skip], renamed[s.Add]
		made(polynet.Output(i), add(s))
	}
	return q, expanded, nil
}

// multipliesBytes reports whether a device does, and the one that computes on the caller's goroutine alone: a device
// inside another one may be hidden from the first question.
func multipliesBytes(d device.Device) bool {
	_, itself := d.(device.Narrow)
	_, serial := d.Serial().(device.Narrow)
	return itself && serial
}

func scalar(w polynet.Weights, name string) float32 { return w[name].Data().([]float32)[0] }

// expandLinear returns the weights and a narrow OpLinear with a weight of float32: it multiplies rows that are not
// rounded.
func expandLinear(w polynet.Weights, s polynet.Step) (polynet.Weights, polynet.Step) {
	expanded := polynet.Weights{}
	for name, t := range w {
		expanded[name] = t
	}
	values := polynet.Expand(w.Levels(s.Weight), w[s.WeightScale].Data().([]float32))
	expanded[s.Weight] = tensor.New(tensor.WithShape(w[s.Weight].Shape()...), tensor.WithBacking(values))
	s.Precision, s.WeightScale = polynet.Float32, ""
	return expanded, s
}

// isNarrow reports whether a step multiplies bytes.
func isNarrow(s *polynet.Step) bool {
	return s.Op == polynet.OpConv && s.Precision != polynet.Float32
}

// writesBytes reports whether step i of a lowered program writes the bytes of the OpRound after it.
func writesBytes(p *polynet.Program, i int) bool {
	s, next := &p.Steps[i], &p.Steps[i+1]
	return isNarrow(s) && s.Add == polynet.NoTensor && next.Op == polynet.OpRound && next.X == polynet.Output(i)
}

// packNarrow packs the weight of a narrow convolution for as many windows. Rows are padded to whole words with weights
// of 0.
func packNarrow(d device.Narrow, s *polynet.Step, levels []int8, windows device.View) *device.Packed {
	words := device.CeilDiv(s.In, 4) // of a row
	row := 4 * words * s.Width       // weights of a tap
	padded := make([]int8, s.Kernel*row)
	for k := range s.Kernel {
		copy(padded[k*row:], levels[k*s.In*s.Width:][:s.In*s.Width])
	}
	packed := new(device.Packed)
	windows.Cols, windows.RowStride = s.Kernel*words, s.Stride*words
	d.PackNarrow(packed, padded, s.Width, s.Precision == polynet.Ternary, windows)
	return packed
}

// runNarrow computes a narrow convolution.
func (s *boundStep) runNarrow(d device.Narrow, o *operands) {
	e := device.NarrowEpilogue{
		Multiply: s.multiply, Shift: s.bias, Skip: o.skip, Scale: s.scale, Offset: s.offset, ReLU: s.ReLU,
		Bytes: o.bytes, BytesScale: s.round,
	}
	if s.Add == polynet.NoTensor {
		d.MatMulNarrow(o.dst, o.x, s.weight, e)
		return
	}
	e.ReLU = false
	d.MatMulNarrow(o.dst, o.x, s.weight, e)
	none := device.Buffer{}
	d.Affine(o.dst, o.dst, o.add, none, none, none, s.ReLU)
}
