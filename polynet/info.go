package polynet

import "strings"

// LayerInfo describes one part of a network at work on one clip: the stem, a residual block or the head.
type LayerInfo struct {
	Name       string // the prefix of its weights' names
	Frames     int    // rows that it gives
	Channels   int    // of each row
	Parameters int    // trained values; running statistics do not count
	MACs       int64  // multiply-adds of its matrix products
}

// Layers describes the network's parts when it runs over a clip of frames rows, from the stem to the head. Norms, Hadamard
// products and the mean over time are not in MACs: together they are a multiply-add or two for each value of an activation.
// c must be valid.
func (c Config) Layers(frames int) []LayerInfo {
	rows := ceilDiv(frames, c.Stem.Stride)
	layers := []LayerInfo{{
		Name: "stem", Frames: rows, Channels: c.Stem.Width, MACs: macs(rows, c.Stem.Kernel, c.Inputs, c.Stem.Width),
	}}
	for _, b := range c.blocks() {
		rows = ceilDiv(rows, b.stride)
		layers = append(layers, LayerInfo{Name: b.name, Frames: rows, Channels: b.width, MACs: b.macs(rows)})
	}
	features := layers[len(layers)-1].Channels
	layers = append(layers, LayerInfo{Name: "head", Frames: 1, Channels: c.Classes, MACs: macs(1, 1, features, c.Classes)})
	for i := range layers {
		layers[i].Parameters = c.parametersOf(layers[i].Name + ".")
	}
	return layers
}

// Parameters returns the number of trained values; running statistics do not count. c must be valid.
func (c Config) Parameters() int { return c.parametersOf("") }

// MACs returns the multiply-adds of the matrix products in a run over a clip of frames rows. c must be valid.
func (c Config) MACs(frames int) int64 {
	var sum int64
	for _, l := range c.Layers(frames) {
		sum += l.MACs
	}
	return sum
}

// parametersOf counts the trained values whose names begin with prefix.
func (c Config) parametersOf(prefix string) int {
	var sum int64
	for _, w := range c.WeightShapes() {
		if strings.HasPrefix(w.Name, prefix) && !strings.Contains(w.Name, ".running_") {
			sum += w.Len()
		}
	}
	return int(sum)
}

// macs returns the multiply-adds of the block's convolutions, which give rows rows.
func (b blockSpec) macs(rows int) int64 {
	sum := macs(rows, b.kernel, b.in, b.width) + macs(rows, b.kernel, b.width, b.width)
	if b.hasSkip {
		sum += macs(rows, 1, b.in, b.width)
	}
	if b.mixed {
		sum += macs(rows, 1, b.width, b.width)
	}
	return sum
}

// macs returns the multiply-adds of one convolution.
func macs(rows, kernel, in, out int) int64 {
	return int64(rows) * int64(kernel) * int64(in) * int64(out)
}

// padding returns how many frames a convolution of the network reaches beyond either end of a clip at most.
func (c Config) padding() int {
	reach := func(kernel, ahead int) int { return max(ahead, kernel-1-ahead) }
	rows := reach(c.Stem.Kernel, c.Stem.Ahead)
	for _, s := range c.Stages {
		rows = max(rows, reach(s.Kernel, s.Ahead))
	}
	return rows
}
