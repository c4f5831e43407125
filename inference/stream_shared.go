package polynet

// planFor returns a Plan for so many frames of so many sounds at a time, which streams share.
func (c *Classifier) planFor(sounds, frames int) *Plan {
	c.streams.Lock()
	defer c.streams.Unlock()
	key := batchShape{sounds, frames}
	p := c.plans[key]
	if p == nil {
		p = c.model.compile(c.plan.dev, sounds, frames)
		c.plans[key] = p
	}
	return p
}

// takeFlow returns a flow, to be given back: there are as many as goroutines run streams at the same time.
func (c *Classifier) takeFlow(shape flowShape) *flow {
	if f := c.unusedFlow(shape); f != nil {
		return f
	}
	return newFlow(c.plan, shape)
}

// unusedFlow returns a flow that nobody uses, or nil.
func (c *Classifier) unusedFlow(shape flowShape) *flow {
	c.streams.Lock()
	defer c.streams.Unlock()
	list := c.flows[shape]
	n := len(list)
	if n == 0 {
		return nil
	}
	c.flows[shape] = list[:n-1]
	return list[n-1]
}

// returnFlow gives back what takeFlow returned.
func (c *Classifier) returnFlow(shape flowShape, f *flow) {
	c.streams.Lock()
	defer c.streams.Unlock()
	c.flows[shape] = append(c.flows[shape], f)
}
