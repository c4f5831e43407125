package polynet

import "strings"

// LayerInfo describes one part of a network at work on one clip: the stem, a block or the head.
type LayerInfo struct {
	Name       string // the prefix of its weights' names
	Frames     int    // rows that it gives
	Channels   int    // of each row
	Parameters int    // trained values; running statistics do not count
	MACs       int64  // multiply-adds of its matrix products
}

// Layers describes the network's parts when it runs over a clip of frames rows, from the stem to the head. Norms, Hadamard
// products and the mean over time are not in MACs: together they are a few multiply-adds for each value of an activation.
// c must be valid.
func (c Config) Layers(frames int) []LayerInfo {
	p := c.program()
	layers := make([]LayerInfo, len(p.parts), len(p.parts)+1)
	for i, name := range p.parts {
		layers[i].Name = name
	}
	rows := p.rows(frames)
	for i := range p.steps {
		s, l := &p.steps[i], &layers[p.steps[i].part]
		l.Frames, l.Channels = rows[made(i)], s.width
		if s.op == opConv {
			l.MACs += macs(l.Frames, s.kernel, s.in, s.width)
		}
	}
	for _, w := range p.order {
		s := &p.steps[w.step]
		layers[s.part].Parameters += trained(s.weightShapes(w.product))
	}
	return append(layers, LayerInfo{
		Name: "head", Frames: 1, Channels: c.Classes, MACs: macs(1, 1, p.width(), c.Classes), Parameters: trained(c.headShapes(p)),
	})
}

// Parameters returns the number of trained values; running statistics do not count. c must be valid.
func (c Config) Parameters() int { return trained(c.WeightShapes()) }

// MACs returns the multiply-adds of the matrix products in a run over a clip of frames rows. c must be valid.
func (c Config) MACs(frames int) int64 {
	var sum int64
	for _, l := range c.Layers(frames) {
		sum += l.MACs
	}
	return sum
}

// trained counts the trained values.
func trained(shapes []WeightShape) int {
	var sum int64
	for _, w := range shapes {
		if !strings.Contains(w.Name, ".running_") {
			sum += w.Len()
		}
	}
	return int(sum)
}

// macs returns the multiply-adds of one convolution.
func macs(rows, kernel, in, out int) int64 {
	return int64(rows) * int64(kernel) * int64(in) * int64(out)
}

// rows returns how many rows each value has where the input has so many.
func (p *program) rows(frames int) []int {
	rows := make([]int, made(len(p.steps)))
	rows[input] = frames
	for i := range p.steps {
		rows[made(i)] = p.steps[i].rows(rows[p.steps[i].x])
	}
	return rows
}

// padding returns how many frames a convolution of the network reaches beyond either end of a clip at most.
func (c Config) padding() int { return c.program().padding() }

func (p *program) padding() int {
	rows := 0
	for i := range p.steps {
		if s := &p.steps[i]; s.op == opConv {
			left, ahead := s.reach(s.x)
			rows = max(rows, left, ahead)
		}
	}
	return rows
}
