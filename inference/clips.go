package inference

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// Clips runs a Plan over batches of whole clips of one length. It is used by one goroutine, and its runs allocate nothing.
type Clips struct {
	executor
	plan   *Plan
	frames int
	batch  int // the most clips of a run

	scratch *features.Scratch
	rows    []float32     // features of RunSamples
	sounds  device.Buffer // samples of RunSamples, where the device makes the features
	host    []float32     // the input before its upload; the input itself where the device works in the host's memory
	pooled  device.View   // (batch, channels): the mean over time
	logits  device.View   // (batch, classes)
	out     []float32

	first, count int // frames of the mean over time; a count of 0 stands for all
}

// Clips returns Clips for up to batch clips of frames rows of features each.
func (p *Plan) Clips(batch, frames int) *Clips {
	if batch < 1 || frames < 1 {
		panic(fmt.Sprintf("inference: %d clips of %d frames", batch, frames))
	}
	classes := p.model.Net.Classes
	c := &Clips{plan: p, frames: frames, batch: batch, out: make([]float32, batch*classes), scratch: p.extractor.Scratch()}
	c.executor = newExecutor(p, true, []runSize{{batch, frames}}, func(l *layout, alloc func(n int) device.Buffer) {
		width := l.tensors[len(l.tensors)-1].cols
		c.pooled = device.Matrix(alloc(batch*width), batch, width)
		c.logits = device.Matrix(alloc(batch*classes), batch, classes)
	})
	input := c.tensors[polynet.Input].data
	if c.host = input.Host(); c.host == nil {
		c.host = make([]float32, input.Len())
	}
	return c
}

// Close gives the memory back to the device.
func (c *Clips) Close() {
	c.close()
	c.plan.dev.Free(c.sounds)
}

// Pool says that the mean over time is taken over count frames from first on: over the window that the labels are about,
// between others that are its context. It holds for all later runs; a count of 0 stands for all frames. Row r before the
// mean belongs to frame r times the product of all strides.
func (c *Clips) Pool(first, count int) { c.first, c.count = first, count }

// Run returns the logits (batch, classes) of batch clips, whose rows (batch, frames, mels) are log-mel energies as
// features.Extractor gives them, not normalised. The logits are valid until the next run.
func (c *Clips) Run(rows []float32, batch int) []float32 {
	if batch < 1 || batch > c.batch || len(rows) != batch*c.frames*c.plan.program.Inputs {
		panic(fmt.Sprintf("inference: %d values for %d of %d clips of %d frames", len(rows), batch, c.batch, c.frames))
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
		c.plan.dev.Upload(in.data, c.host)
	}
	return c.compute(batch)
}

// RunSamples is Run on batch sounds of equal length, one after the other: as many samples, at the model's rate, as make
// the clips' frames.
func (c *Clips) RunSamples(samples []float32, batch int) []float32 {
	p := c.plan
	if batch < 1 || batch > c.batch || len(samples)%batch != 0 {
		panic(fmt.Sprintf("inference: %d samples of %d of %d sounds", len(samples), batch, c.batch))
	}
	length := len(samples) / batch
	if p.logMel == nil {
		c.rows = c.rows[:0]
		for i := range batch {
			c.rows = p.extractor.Rows(c.rows, samples[i*length:][:length], c.scratch)
		}
		return c.Run(c.rows, batch)
	}
	c.prepare(runSize{batch, c.frames})
	if n := c.batch * length; c.sounds.Len() < n {
		p.dev.Free(c.sounds)
		c.sounds = p.dev.Alloc(n)
	}
	sounds := c.sounds.Slice(0, len(samples))
	p.dev.Upload(sounds, samples)
	p.logMel.LogMel(c.tensors[polynet.Input].own(c.run), device.View{
		Data: sounds, Groups: batch, Rows: 1, Cols: length, GroupStride: length, RowStride: length,
	}, p.logMel.spec)
	return c.compute(batch)
}

// compute returns the logits of the first batch clips of the input.
func (c *Clips) compute(batch int) []float32 {
	d, w := c.plan.dev, c.plan.clips
	if batch == 1 {
		d = c.plan.serial
	}
	for i := range c.windows {
		c.step(d, w, i)
	}
	pooled, logits := c.pooled, c.logits
	pooled.Rows, logits.Rows = batch, batch
	rowPerClip := pooled
	rowPerClip.Groups, rowPerClip.Rows, rowPerClip.GroupStride = batch, 1, pooled.RowStride
	d.AvgPool(rowPerClip, c.poolRows())
	d.MatMul(logits, pooled, w.head().weight, device.Epilogue{Shift: w.head().bias})
	out := c.out[:batch*logits.Cols]
	c.plan.dev.Download(out, logits.Data.Slice(0, len(out)))
	return out
}

// poolRows returns the rows that the mean over time is taken of.
func (c *Clips) poolRows() device.View {
	p := c.last()
	rows := p.own(c.run)
	if c.count == 0 {
		return rows
	}
	first, end := ceilDiv(c.first, p.stride), min(ceilDiv(c.first+c.count, p.stride), rows.Rows)
	if c.first < 0 || end <= first {
		panic(fmt.Sprintf("inference: the mean over frames [%d,%d) of %v, one row in %d frames", c.first, c.first+c.count, rows, p.stride))
	}
	return p.view(p.gap+first, 1, 1, end-first, c.run)
}

// Embeddings returns the pooled features (batch, channels) before the linear layer, of the batch clips of the latest run, in new
// memory.
func (c *Clips) Embeddings(batch int) []float32 {
	values := make([]float32, batch*c.pooled.Cols)
	c.plan.dev.Download(values, c.pooled.Data.Slice(0, len(values)))
	return values
}
