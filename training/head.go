package polynet

import (
	"fmt"
	"math"

	"github.com/polyphon/polyphon/device"
)

// head turns frames into logits: the mean over time, dropout, a linear layer. Its output is one group of a row a clip.
type head struct {
	in, out int
	stride  int    // frames of the input for each of the head's rows
	weight  *Param // (in, out)
	bias    *Param // (out)
	dropout float64
}

func newHead(in, out, stride int, dropout float64) *head {
	return &head{
		in: in, out: out, stride: stride, dropout: dropout,
		weight: &Param{
			Name: "head.weight", Shape: []int{in, out}, Kind: Decayed, initial: uniform(1 / math.Sqrt(float64(in))),
		},
		bias: &Param{Name: "head.bias", Shape: []int{out}, Kind: Undecayed, initial: constant(0)},
	}
}

func (h *head) Params() []*Param { return []*Param{h.weight, h.bias} }

func (h *head) Forward(p *Pass, x Activation) Activation {
	if x.Cols != h.in {
		panic(fmt.Sprintf("polynet: %s %v applied to %v", h.weight.Name, h.weight.Shape, x.View))
	}
	pooled := p.matrix(x.Groups, h.in)
	p.dev.AvgPool(asGroups(pooled), p.pooled.of(x, h.stride).View)
	var mask device.View
	if p.Train && h.dropout > 0 {
		mask = h.mask(p, x.Groups)
		p.dev.Hadamard(pooled, pooled, mask, false)
	}
	logits := p.matrix(x.Groups, h.out)
	p.dev.MatMul(logits, pooled, p.pack(h.weight.Value, h.in, h.out), device.Epilogue{Shift: h.bias.Value})
	p.save(record{x: x, y: Activation{View: pooled}, mask: mask})
	return Activation{View: logits}
}

func (h *head) Backward(p *Pass, dy Activation) Activation {
	r := p.restore()
	none := device.Buffer{}
	p.dev.MatMulTransA(h.weight.Grad, r.y.View, dy.View)
	sum := p.vector(h.out)
	p.dev.GradSums(sum, none, dy.View, device.View{}, device.View{})
	bias := device.Matrix(h.bias.Grad, 1, h.out)
	p.dev.Affine(bias, bias, device.Matrix(sum, 1, h.out), none, none, none, false)

	transposed := p.matrix(h.out, h.in)
	p.dev.Transpose(transposed, device.Matrix(h.weight.Value, h.in, h.out), false)
	pooled := p.matrix(dy.Rows, h.in)
	p.dev.MatMul(pooled, dy.View, p.pack(transposed.Data, h.out, h.in), device.Epilogue{})
	if !r.mask.Empty() {
		p.dev.Hadamard(pooled, pooled, r.mask, false)
	}
	dx := p.plainLike(r.x)
	rows := p.pooled.of(dx, h.stride)
	if rows.Rows < dx.Rows {
		p.dev.Fill(dx.View, 0)
	}
	p.dev.AvgPoolGrad(rows.View, asGroups(pooled), 1/float32(rows.Rows))
	return dx
}

// mask draws what dropout multiplies the pooled features with: 0, or 1/(1−dropout), which keeps their mean.
func (h *head) mask(p *Pass, batch int) device.View {
	mask := p.matrix(batch, h.in)
	values := make([]float32, batch*h.in)
	for i := range values {
		if p.rng.Float64() >= h.dropout {
			values[i] = float32(1 / (1 - h.dropout))
		}
	}
	p.dev.Upload(mask.Data, values)
	return mask
}

// asGroups returns the View of m's rows as groups of one row each.
func asGroups(m device.View) device.View {
	m.Groups, m.Rows, m.GroupStride = m.Rows, 1, m.RowStride
	return m
}
