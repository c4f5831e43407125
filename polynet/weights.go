package polynet

// WeightShape is the name and the shape of one tensor of Model.Weights.
type WeightShape struct {
	Name  string
	Shape []int
}

// Len returns the number of values.
func (w WeightShape) Len() int64 {
	n := int64(1)
	for _, d := range w.Shape {
		n *= int64(d)
	}
	return n
}

// WeightShapes lists the tensors of a model with network c, in the order of a model file. c must be valid.
func (c Config) WeightShapes() []WeightShape {
	p := c.program()
	return append(p.weightShapes(-1), c.headShapes(p)...)
}

func (c Config) headShapes(p *program) []WeightShape {
	return []WeightShape{{"head.weight", []int{p.width(), c.Classes}}, {"head.bias", []int{c.Classes}}}
}

// weightShapes lists the tensors of a part, or of all with −1.
func (p *program) weightShapes(part int) []WeightShape {
	var list []WeightShape
	for _, i := range p.order {
		if s := &p.steps[i]; part < 0 || s.part == part {
			list = append(list, s.weightShapes()...)
		}
	}
	return list
}

func (s *step) weightShapes() []WeightShape {
	list := []WeightShape{{s.conv + ".weight", []int{s.kernel, s.in, s.width}}}
	if s.instance > 0 {
		n := []int{s.instance}
		list = append(list, WeightShape{s.norm + ".instance.weight", n}, WeightShape{s.norm + ".instance.bias", n})
		list = append(list, normShapes(s.norm+".batch", s.width-s.instance)...)
	} else {
		list = append(list, normShapes(s.norm, s.width)...)
	}
	if s.factor != "" {
		list = append(list, WeightShape{s.factor, []int{1}})
	}
	if s.product != "" {
		list = append(list, normShapes(s.product+".norm", s.width)...)
		list = append(list, WeightShape{s.product + ".scale", []int{1}})
	}
	return list
}

func normShapes(name string, width int) []WeightShape {
	return []WeightShape{
		{name + ".weight", []int{width}},
		{name + ".bias", []int{width}},
		{name + ".running_mean", []int{width}},
		{name + ".running_var", []int{width}},
	}
}
