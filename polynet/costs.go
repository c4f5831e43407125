package polynet

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

// MACs returns the multiply-adds of the matrix products in a run over a clip of so many frames. Norms, Hadamard
// products and the mean over time do not count: together they are a few multiply-adds for each value of a tensor.
func (p *Program) MACs(frames int) int64 {
	var sum int64
	rows := p.Rows(frames)
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Op == OpConv || s.Op == OpLinear {
			sum += int64(rows[Output(i)]) * int64(s.Kernel) * int64(s.In) * int64(s.Width)
		}
	}
	return sum
}
