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
	var list []WeightShape
	for _, w := range p.order {
		list = append(list, p.steps[w.step].weightShapes(w.product)...)
	}
	return append(list, c.headShapes(p)...)
}

func (c Config) headShapes(p *program) []WeightShape {
	return []WeightShape{{"head.weight", []int{p.width(), c.Classes}}, {"head.bias", []int{c.Classes}}}
}

// weightShapes lists the tensors of the convolution and its norm, or of the product.
func (s *step) weightShapes(product bool) []WeightShape {
	if product {
		return append(normShapes(s.product+".norm", s.width), WeightShape{s.product + ".scale", []int{1}})
	}
	list := []WeightShape{{s.conv + ".weight", []int{s.kernel, s.in, s.width}}}
	switch {
	case s.instance > 0:
		n := []int{s.instance}
		list = append(list, WeightShape{s.norm + ".instance.weight", n}, WeightShape{s.norm + ".instance.bias", n})
		list = append(list, normShapes(s.norm+".batch", s.width-s.instance)...)
	case s.whitens:
		n := []int{s.width}
		list = append(list, WeightShape{s.norm + ".weight", n}, WeightShape{s.norm + ".bias", n}, WeightShape{s.norm + ".running_mean", n},
			WeightShape{s.norm + ".running_whitening", []int{s.width, whitenedGroup(s.width)}})
	default:
		list = append(list, normShapes(s.norm, s.width)...)
	}
	if s.factor != "" {
		list = append(list, WeightShape{s.factor, []int{1}})
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
