package polynet

// Layer describes one part of a network at work on one clip: the stem, a block or the head.
type Layer struct {
	Name       string // Step.Part
	Frames     int    // rows of its output
	Channels   int    // of each row
	Parameters int    // trained values; running statistics do not count
	MACs       int64  // multiply-adds of its matrix products
}

// Layers describes the network's parts when it runs over a clip of so many frames, from the stem to the head. Norms,
// Hadamard products and the mean over time are not in MACs: together they are a few multiply-adds for each value of a
// tensor.
func (p *Program) Layers(frames int) []Layer {
	weights := make(map[string]Weight, len(p.Weights))
	for _, w := range p.Weights {
		weights[w.Name] = w
	}
	var layers []Layer
	rows := p.Rows(frames)
	for i := range p.Steps {
		s := &p.Steps[i]
		if len(layers) == 0 || layers[len(layers)-1].Name != s.Part {
			layers = append(layers, Layer{Name: s.Part})
		}
		l := &layers[len(layers)-1]
		l.Frames, l.Channels = rows[Output(i)], s.Width
		if s.Op == OpConv || s.Op == OpLinear {
			l.MACs += int64(l.Frames) * int64(s.Kernel) * int64(s.In) * int64(s.Width)
		}
		for _, name := range s.weightNames() {
			if w, ok := weights[name]; ok && w.Kind != Running {
				l.Parameters += int(w.Len())
			}
		}
	}
	return layers
}

// Parameters returns the number of trained values; running statistics do not count.
func (p *Program) Parameters() int {
	var sum int64
	for _, w := range p.Weights {
		if w.Kind != Running {
			sum += w.Len()
		}
	}
	return int(sum)
}

// MACs returns the multiply-adds of the matrix products in a run over a clip of so many frames.
func (p *Program) MACs(frames int) int64 {
	var sum int64
	for _, l := range p.Layers(frames) {
		sum += l.MACs
	}
	return sum
}

// weightNames returns the names of the step's weights.
func (s *Step) weightNames() []string {
	names := []string{s.Weight, s.Bias, s.Norm.Factor, s.ProductNorm.Factor, s.Scale, s.Offset}
	for _, n := range []Norm{s.Norm, s.ProductNorm} {
		if n.Name != "" {
			names = append(names, n.Name+".weight", n.Name+".bias", n.Name+".running_mean", n.Name+".running_var")
		}
	}
	return names // "" names no weight
}
