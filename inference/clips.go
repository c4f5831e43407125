package inference

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// Clips runs a Plan over batches of whole clips of one length. It is used by one goroutine, and its runs allocate
// nothing.
type Clips struct {
	executor
	plan     *Plan
	frames   int
	maxBatch int // clips of a run

	scratch *features.Scratch
	rows    []float32     // features of RunSamples
	samples device.Buffer // of RunSamples, where the device makes the features
	host    []float32     // the input before its upload; the input itself where the device works in the host's memory
	pooled  device.View   // (maxBatch, channels): the mean over time
	logits  device.View   // (maxBatch, classes)
	out     []float32

	first, count int // frames of the mean over time; a count of 0 stands for all
}

// Clips returns Clips for up to batch clips of frames rows of features each.
func (p *Plan) Clips(batch, frames int) *Clips {
	if batch < 1 || frames < 1 {
		panic(fmt.Sprintf("inference: %d clips of %d frames", batch, frames))
	}
	c := &Clips{plan: p, frames: frames, maxBatch: batch, scratch: p.extractor.Scratch()}
	head := &p.program.Steps[len(p.program.Steps)-1]
	c.executor = newExecutor(p, true, []runSize{{batch, frames}}, func(alloc allocator) {
		c.pooled = device.Matrix(alloc(batch*head.In), batch, head.In)
		c.logits = device.Matrix(alloc(batch*head.Width), batch, head.Width)
	})
	c.out = make([]float32, c.logits.Extent())
	input := c.tensors[polynet.Input].data
	if c.host = input.Host(); c.host == nil {
		c.host = make([]float32, input.Len())
	}
	return c
}

// Close gives the memory back to the device.
func (c *Clips) Close() {
	c.close()
	c.dev.Free(c.samples)
}

// Pool makes later runs take the mean over time over count frames from first on, a window between frames that are its
// context. A count of 0 stands for all frames. Row r before the mean belongs to frame r times the product of all
// strides.
func (c *Clips) Pool(first, count int) { c.first, c.count = first, count }

// Run returns the logits (batch, classes) of batch clips, whose rows (batch, frames, mels) are log-mel energies as
// features.Extractor gives them, not normalised. The logits are valid until the next run.
func (c *Clips) Run(rows []float32, batch int) []float32 {
	if batch < 1 || batch > c.maxBatch || len(rows) != batch*c.frames*c.program.Inputs {
		panic(fmt.Sprintf("inference: %d values for %d of %d clips of %d frames", len(rows), batch, c.maxBatch, c.frames))
	}
	c.prepare(runSize{batch, c.frames})
	in := &c.tensors[polynet.Input]
	size, clip := in.size(c.frames), c.frames*in.cols
	for g := range batch {
		dst := c.host[g*size+in.gap*in.cols:][:clip]
		copy(dst, rows[g*clip:])
		c.plan.model.Norm.Apply(dst)
	}
	if in.data.Host() == nil {
		c.dev.Upload(in.data, c.host)
	}
	return c.compute(batch)
}

// RunSamples is Run on the features of samples: batch sounds of equal length, one after the other, each as many samples
// at the model's rate as make the clips' frames.
func (c *Clips) RunSamples(samples []float32, batch int) []float32 {
	if batch < 1 || batch > c.maxBatch || len(samples)%batch != 0 {
		panic(fmt.Sprintf("inference: %d samples of %d of %d sounds", len(samples), batch, c.maxBatch))
	}
	length, p := len(samples)/batch, c.plan
	if p.logMel == nil {
		c.rows = c.rows[:0]
		for i := range batch {
			c.rows = p.extractor.Rows(c.rows, samples[i*length:][:length], c.scratch)
		}
		return c.Run(c.rows, batch)
	}
	c.prepare(runSize{batch, c.frames})
	if n := c.maxBatch * length; c.samples.Len() < n {
		c.dev.Free(c.samples)
		c.samples = c.dev.Alloc(n)
	}
	uploaded := c.samples.Slice(0, len(samples))
	c.dev.Upload(uploaded, samples)
	p.logMel.LogMel(c.tensors[polynet.Input].computed(c.run), device.View{
		Data: uploaded, Groups: batch, Rows: 1, Cols: length, GroupStride: length, RowStride: length,
	}, p.spec)
	return c.compute(batch)
}

// compute returns the logits of the first batch clips of the input.
func (c *Clips) compute(batch int) []float32 {
	d, steps := c.dev, c.plan.clips.packed(c.plan)
	if batch == 1 {
		d = c.plan.serial
	}
	d = c.checked(d, steps)
	for i := range c.operands {
		steps[i].run(d, &c.operands[i])
	}
	means, pooled, logits := c.pooled, c.pooled, c.logits
	means.Groups, means.Rows, means.GroupStride = batch, 1, means.RowStride // of each clip
	d.AvgPool(means, c.poolRows())
	pooled.Rows, logits.Rows = batch, batch
	steps[len(steps)-1].run(d, &operands{dst: logits, x: pooled})
	out := c.out[:logits.Extent()]
	c.dev.Download(out, logits.Data.Slice(0, len(out)))
	return out
}

// poolRows returns the rows that the mean over time is taken of.
func (c *Clips) poolRows() device.View {
	p := c.last()
	rows := p.computed(c.run)
	if c.count == 0 {
		return rows
	}
	first, end := device.CeilDiv(c.first, p.stride), min(device.CeilDiv(c.first+c.count, p.stride), rows.Rows)
	if c.first < 0 || end <= first {
		panic(fmt.Sprintf("inference: the mean over frames [%d,%d) of %v, one row in %d frames",
			c.first, c.first+c.count, rows, p.stride))
	}
	return p.view(first, 1, 1, end-first, c.run)
}

// Embeddings returns the pooled features (batch, channels) before the linear layer, of the batch clips of the latest
// run, in new memory.
func (c *Clips) Embeddings(batch int) []float32 {
	values := make([]float32, batch*c.pooled.Cols)
	c.dev.Download(values, c.pooled.Data.Slice(0, len(values)))
	return values
}
