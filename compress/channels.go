package compress

import (
	"fmt"
	"slices"

	"github.com/polyphon/polyphon/polynet"
)

// group is a set of channels that tensors of a program share, number for number: whatever one of them loses, all lose,
// so that sums and Hadamard products stay aligned.
type group struct {
	name  string // of the step that makes the first of the tensors
	width int
	convs []int // the steps that make the channels with a weight, depthwise ones left out
	// read are the tensors from which convolutions or the head compute other channels. The mean over time and dropout
	// count as what they are computed from.
	read []polynet.Tensor
}

// channels are the groups of a network's tensors.
type channels struct {
	net    polynet.Config
	p      *polynet.Program
	groups []group
	of     []int // by tensor: the number of its group, or −1 where its channels cannot be chosen
}

// channelsOf returns the groups of a network: one for the stem and the stages that skips join, or for each of them, and
// one for each of a block's inner widths. The outputs of a stage's blocks are in one group, as a Config wants them to
// be of one width.
func channelsOf(net polynet.Config) *channels {
	p := net.Program()
	c := &channels{net: net, p: p, of: make([]int, len(p.Steps)+2)}
	root := upTo(len(c.of))
	join := func(a, b polynet.Tensor) {
		if a, b := rootOf(root, int(a)), rootOf(root, int(b)); b != int(polynet.NoTensor) {
			root[max(a, b)] = min(a, b)
		}
	}
	outputs := map[string]polynet.Tensor{}
	for i := range p.Steps {
		s, y := &p.Steps[i], polynet.Output(i)
		outputs[s.Part] = y
		switch s.Op {
		case polynet.OpConv:
			join(y, s.Skip)
			join(y, s.Add)
		case polynet.OpLinear:
		default:
			join(y, s.X)
			join(y, s.Y)
		}
	}
	for i, s := range net.Stages {
		for j := range s.Blocks {
			join(outputs[fmt.Sprintf("stages.%d.%d", i, j)], outputs[fmt.Sprintf("stages.%d.0", i)])
		}
	}
	numbers := map[int]int{}
	for t := range c.of {
		r, step := rootOf(root, t), t-int(polynet.Output(0))
		c.of[t] = -1
		if r < int(polynet.Output(0)) || step == len(p.Steps)-1 {
			continue
		}
		n, known := numbers[r]
		if !known {
			n, numbers[r] = len(c.groups), len(c.groups)
			c.groups = append(c.groups, group{name: p.Steps[step].Name, width: p.Steps[step].Width})
		}
		c.of[t] = n
	}
	c.note()
	return c
}

// note fills in what steps do with the channels of each group.
func (c *channels) note() {
	for i := range c.p.Steps {
		s := &c.p.Steps[i]
		if s.Op != polynet.OpConv && s.Op != polynet.OpLinear {
			continue
		}
		if n := c.of[polynet.Output(i)]; n >= 0 {
			c.groups[n].convs = append(c.groups[n].convs, i)
		}
		x := c.operand(s)
		if n := c.of[x]; n >= 0 && !slices.Contains(c.groups[n].read, x) {
			c.groups[n].read = append(c.groups[n].read, x)
		}
	}
}

// operand returns the tensor whose channels a convolution or the head reads, as group.read counts it.
func (c *channels) operand(s *polynet.Step) polynet.Tensor {
	x := s.X
	for x >= polynet.Output(0) {
		before := &c.p.Steps[x-polynet.Output(0)]
		if before.Op != polynet.OpMean && before.Op != polynet.OpDropout {
			break
		}
		x = before.X
	}
	return x
}

// costs returns how many percent of the multiply-adds that so many frames take are those of one channel of each group.
func (c *channels) costs(frames int) []float64 {
	costs := make([]float64, len(c.groups))
	add := func(t polynet.Tensor, macs int) {
		if g := c.of[t]; g >= 0 {
			costs[g] += 100 * float64(macs) / float64(c.p.MACs(frames))
		}
	}
	for i, g := range c.p.Geometry()[polynet.Output(0):] {
		s, rows := &c.p.Steps[i], (frames+g.Stride-1)/g.Stride
		switch s.Op {
		case polynet.OpDepthwise:
			add(polynet.Output(i), rows*s.Kernel)
		case polynet.OpLinear:
			add(c.operand(s), s.Width)
		case polynet.OpConv:
			add(polynet.Output(i), rows*s.Kernel*s.In)
			add(c.operand(s), rows*s.Kernel*s.Width)
		}
	}
	return costs
}

// resize returns the network with so many channels in each group.
func (c *channels) resize(widths []int) (polynet.Config, error) {
	return c.net.Resize(func(t polynet.Tensor) int { return widths[c.of[t]] })
}

// separate raises widths, where the network would have none of its convolutions in skips any more because two stages
// have become of one width. limits are those that it has.
func (c *channels) separate(widths []int) {
	groupOf := func(part string) int {
		last := slices.IndexFunc(c.p.Steps, func(s polynet.Step) bool { return s.Part == part })
		for last+1 < len(c.p.Steps) && c.p.Steps[last+1].Part == part {
			last++
		}
		return c.of[polynet.Output(last)]
	}
	for again := true; again; {
		again = false
		before := groupOf("stem")
		for i, s := range c.net.Stages {
			g := groupOf(fmt.Sprintf("stages.%d.0", i))
			if g != before && s.Stride == 1 && widths[g] == widths[before] && c.groups[g].width != c.groups[before].width {
				if again = true; widths[g] < c.groups[g].width {
					widths[g]++
				} else {
					widths[before]++
				}
			}
			before = g
		}
	}
}
