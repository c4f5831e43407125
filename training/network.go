package training

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// Param is one of a network's weights on its device. Value and Grad are slices of buffers that hold all of the
// network's.
type Param struct {
	polynet.Weight
	Value device.Buffer
	Grad  device.Buffer // the loss's gradient; empty for running statistics
}

// Network is a polynet.Program with weights on a device, which can be trained. Its parameters lie in one buffer
// (decayed ones first), their gradients in another, the running statistics in a third, so that an optimiser's step is a
// call or two. Several goroutines may run Forward at once, each with its Pass, as long as none of them trains.
type Network struct {
	program *polynet.Program
	dev     device.Trainer
	ops     []operator // of the program's steps
	params  []*Param   // in the order of the program's weights

	values, grads, running device.Buffer
	decayed                int           // values[:decayed] are Decayed, the others Undecayed
	norm                   device.Buffer // ClipGradient's result
}

// NewNetwork returns a network with freshly drawn weights: convolutions from a normal distribution of variance
// 2/FanOut (He et al., 2015, as the official Π-nets), the head's weight uniform within 1/√In,
// others as Weight.Init says. An impossible c gives an error wrapping polynet.ErrConfig.
func NewNetwork(c polynet.Config, d device.Trainer, rng *rand.Rand) (*Network, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	n := newNetwork(c.Program(), d, true)
	for _, p := range n.params {
		d.Upload(p.Value, initialValues(p.Weight, rng))
	}
	return n, nil
}

// newNetwork returns the network of a program whose norms are not folded. Its weights are 0; without gradients, it
// cannot be trained.
func newNetwork(p *polynet.Program, d device.Trainer, gradients bool) *Network {
	n := &Network{program: p, dev: d}
	n.allocate(gradients)
	params := make(map[string]*Param, len(n.params))
	for _, q := range n.params {
		params[q.Name] = q
	}
	geometry := p.Geometry()
	for i := range p.Steps {
		s := &p.Steps[i]
		var op operator
		switch s.Op {
		case polynet.OpConv:
			op = &convOp{
				s, params[s.Weight], newBatchNorm(s.Norm, params), newBatchNorm(s.ProductNorm, params), newNarrowing(s, params),
			}
		case polynet.OpDepthwise:
			op = &depthwiseOp{s, params[s.Weight], newBatchNorm(s.Norm, params)}
		case polynet.OpProduct:
			op = productOp{s}
		case polynet.OpTanh:
			op = tanhOp{s}
		case polynet.OpMean:
			op = meanOp{s, geometry[s.X].Stride}
		case polynet.OpDropout:
			op = dropoutOp{s}
		case polynet.OpLinear:
			op = linearOp{s, params[s.Weight], params[s.Bias], newNarrowing(s, params)}
		default:
			panic(fmt.Sprintf("training: %s: unknown operation %d", s.Name, s.Op))
		}
		n.ops = append(n.ops, op)
	}
	return n
}

// allocate lays out the parameters, each beginning on a cache line; what lies between them is 0 and stays 0.
func (n *Network) allocate(gradients bool) {
	var size, begin [polynet.Running + 1]int
	for _, w := range n.program.Weights {
		size[w.Kind] += device.AlignUp(int(w.Len()))
	}
	n.decayed = size[polynet.Decayed]
	begin[polynet.Undecayed] = n.decayed
	n.values = n.dev.Alloc(size[polynet.Decayed] + size[polynet.Undecayed])
	n.running = n.dev.Alloc(size[polynet.Running])
	if gradients {
		n.grads, n.norm = n.dev.Alloc(n.values.Len()), n.dev.Alloc(1)
	}
	for _, w := range n.program.Weights {
		p, buffer, first := &Param{Weight: w}, n.values, begin[w.Kind]
		last := first + int(w.Len())
		if w.Kind == polynet.Running {
			buffer = n.running
		} else if gradients {
			p.Grad = n.grads.Slice(first, last)
		}
		p.Value = buffer.Slice(first, last)
		n.params = append(n.params, p)
		begin[w.Kind] += device.AlignUp(int(w.Len()))
	}
}

// initialValues draws a weight.
func initialValues(w polynet.Weight, rng *rand.Rand) []float32 {
	values := make([]float32, w.Len())
	for i := range values {
		switch {
		case w.FanOut > 0:
			values[i] = float32(rng.NormFloat64() * math.Sqrt(2/float64(w.FanOut)))
		case len(w.Shape) == 2:
			values[i] = float32((2*rng.Float64() - 1) * (1 / math.Sqrt(float64(w.Shape[0]))))
		default:
			values[i] = w.Init
		}
	}
	return values
}

// close gives the network's memory back to the device.
func (n *Network) close() {
	for _, b := range []device.Buffer{n.values, n.running, n.grads, n.norm} {
		n.dev.Free(b)
	}
}

// Params returns the parameters and running statistics, from the stem to the head.
func (n *Network) Params() []*Param { return slices.Clone(n.params) }

// Forward returns the logits, one group of (batch, Classes), contiguous; they are valid until the Pass's next Input.
// With p.Train it moves the running statistics.
func (n *Network) Forward(p *Pass, x Activation) device.View {
	if x.Cols != n.program.Inputs {
		panic(fmt.Sprintf("training: input %v for a network of %d inputs", x.View, n.program.Inputs))
	}
	return n.forward(p, x).matrix()
}

// forward returns the last tensor.
func (n *Network) forward(p *Pass, x Activation) Activation {
	p.tensors = append(p.tensors[:0], Activation{}, x)
	for _, op := range n.ops {
		p.tensors = append(p.tensors, op.forward(p))
	}
	return p.tensors[len(p.tensors)-1]
}

// Backward adds the gradients of all parameters to their Grad, given the loss's gradient with respect to the logits of
// the latest Forward, which was one in training. ZeroGradient comes before the first Backward of a step.
func (n *Network) Backward(p *Pass, dlogits device.View) {
	n.backward(p, Activation{View: dlogits}, false)
}

// ZeroGradient sets all gradients to 0.
func (n *Network) ZeroGradient() { n.dev.Fill(device.Matrix(n.grads, 1, n.grads.Len()), 0) }

// ClipGradient scales all gradients so that together they have a Euclidean norm of at most limit.
func (n *Network) ClipGradient(limit float64) { n.dev.ClipNorm(n.grads, n.norm, float32(limit)) }

// Weights returns copies of the parameters and running statistics.
func (n *Network) Weights() polynet.Weights {
	weights := make(polynet.Weights, len(n.params))
	for _, p := range n.params {
		n.put(weights, p)
	}
	return weights
}

// trained returns the network of a model's weights, with gradients or without. Weights that do not fit it give an error
// wrapping polynet.ErrWeights.
func trained(m *polynet.Model, dev device.Trainer, gradients bool) (*Network, error) {
	n := newNetwork(m.Net.Program(), dev, gradients)
	if err := n.SetWeights(m.Weights); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// begin sets the parameters and running statistics to those of a model of the same blocks, or of the same but for
// products, whose factors then begin at 0: a `pi-relu` network begins as the `relu` network that it is given. Scales of
// narrow weights, which a model of float32 weights has not, stay as they are. So do the head's, unless it has the same
// labels. A model of other blocks gives an error wrapping ErrConfig.
func (n *Network) begin(m *polynet.Model, sameLabels bool) error {
	head := n.program.Steps[len(n.program.Steps)-1]
	added := map[string]bool{} // weights that m may lack, and whether each is the factor of a product
	for _, s := range n.program.Steps {
		added[s.WeightScale], added[s.InputScale] = false, false
		if norm := s.ProductNorm; norm.Factor != "" {
			added[norm.Factor] = true
			for _, name := range []string{"weight", "bias", "running_mean", "running_var"} {
				added[norm.Name+"."+name] = false
			}
		}
	}
	for _, p := range n.params {
		if !sameLabels && (p.Name == head.Weight || p.Name == head.Bias) {
			continue
		}
		w, ok := m.Weights[p.Name]
		if factor, may := added[p.Name]; may && !ok {
			if factor {
				n.dev.Upload(p.Value, make([]float32, p.Len()))
			}
			continue
		}
		if !ok || !slices.Equal(w.Shape(), p.Shape) {
			return fmt.Errorf("%w: the model to begin with has other blocks: it has no %s of shape %v",
				ErrConfig, p.Name, p.Shape)
		}
		n.dev.Upload(p.Value, floats(m.Weights, p.Name))
	}
	return nil
}

// head returns where the head's weight begins among the parameters that are Decayed, and its bias among the others:
// both are the last ones of theirs.
func (n *Network) head() (weight, bias int) {
	last := n.params[len(n.params)-2:]
	return n.decayed - device.AlignUp(int(last[0].Len())), n.values.Len() - device.AlignUp(int(last[1].Len()))
}

// SetWeights sets the parameters and running statistics. Weights that do not fit the program (polynet.Program.Check)
// give an error wrapping polynet.ErrWeights, and leave the network as it was.
func (n *Network) SetWeights(w polynet.Weights) error {
	if err := n.program.Check(w); err != nil {
		return fmt.Errorf("%w: %w", polynet.ErrWeights, err)
	}
	for _, p := range n.params {
		n.dev.Upload(p.Value, floats(w, p.Name))
	}
	return nil
}

// state is what training changes in a network, for checkpoints. How the parameters lie in the slices follows from the
// Program.
type state struct {
	Params  []float32
	Running []float32 // the norms' running statistics
}

// state returns a copy of the parameters and running statistics.
func (n *Network) state() state { return state{download(n.dev, n.values), download(n.dev, n.running)} }

// setState sets the parameters and running statistics to those of a network of the same Program. Other lengths give an
// error wrapping polynet.ErrWeights.
func (n *Network) setState(s state) error {
	return errors.Join(upload(n.dev, n.values, s.Params), upload(n.dev, n.running, s.Running))
}

// download returns a copy of b's values.
func download(d device.Trainer, b device.Buffer) []float32 {
	values := make([]float32, b.Len())
	d.Download(values, b)
	return values
}

// upload sets b's values. Another number of values than b's gives an error wrapping polynet.ErrWeights.
func upload(d device.Trainer, b device.Buffer, values []float32) error {
	if len(values) != b.Len() {
		return fmt.Errorf("%w: %d values of state for %d", polynet.ErrWeights, len(values), b.Len())
	}
	d.Upload(b, values)
	return nil
}
