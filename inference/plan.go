// Package inference runs trained networks: clips, batches of clips, recordings, live sound and groups of live sounds, all
// with one executor.
//
// Compile binds a model's Program to a device. Clips runs whole clips, Stream and Group run sound as it arrives, whose numbers are
// those of one pass over the whole sound.
package inference

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// Plan is a model compiled for inference on one device: batch norms are folded into the convolutions, the weights are packed for
// the device's matrix product, and what follows a product (shift, skip, Hadamard term, ReLU) is its epilogue, so that
// a `pi` block is two products and writes each tensor once. A Plan is shared by goroutines; each works with Clips, a
// Stream or a Group of its own.
type Plan struct {
	model     *polynet.Model
	program   *polynet.Program // folded, without steps of training
	reach     polynet.Geometry // of a row of logits
	dev       device.Device
	serial    device.Device // for work on a clip or a few frames, too short to divide between threads
	extractor *features.Extractor
	logMel    *deviceLogMel // nil: the processor makes the features
	clips     *weights      // for clips of the model's window

	mu     sync.Mutex
	shapes map[runSize]*weights           // for streams, by what they compute at once
	idle   map[capacity][]*streamExecutor // for streams
	idles  int                            // executors in idle
}

// runSize is so many new frames of each of so many streams.
type runSize struct{ streams, frames int }

// deviceLogMel makes features on the device.
type deviceLogMel struct {
	device.LogMeler
	spec device.LogMelSpec
}

// Compile prepares the model for inference on d. A model that is not consistent gives an error that wraps polynet.ErrModel.
func Compile(m *polynet.Model, d device.Device) (*Plan, error) { return compile(m, d, features.New) }

// CompileReference is Compile with the slow, plain arithmetic of device.Ref and features.NewReference, which fast kernels
// are compared with.
func CompileReference(m *polynet.Model) (*Plan, error) {
	return compile(m, device.Ref(), features.NewReference)
}

func compile(m *polynet.Model, d device.Device, extract func(features.Config) (*features.Extractor, error)) (*Plan, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	extractor, err := extract(m.Features)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", polynet.ErrModel, err)
	}
	p := &Plan{
		model: m, dev: d, serial: d.Serial(), extractor: extractor,
		shapes: map[runSize]*weights{}, idle: map[capacity][]*streamExecutor{},
	}
	if p.clips, err = p.pack(runSize{1, m.Features.Frames(m.WindowSamples())}); err != nil {
		return nil, err
	}
	p.program, p.reach = p.clips.program, p.clips.program.Reach()
	p.useDeviceFeatures()
	return p, nil
}

// Model returns the model, which is read-only.
func (p *Plan) Model() *polynet.Model { return p.model }

// useDeviceFeatures lets the device make the features, with the extractor's numbers, where it can.
func (p *Plan) useDeviceFeatures() {
	l, ok := p.dev.(device.LogMeler)
	f := p.model.Features
	if !ok || !l.SupportsLogMel(device.LogMelSpec{FFT: f.FFT}) {
		return
	}
	e, norm := p.extractor, p.model.Norm
	before, _ := f.Margins()
	spans, bank := e.MelSpans()
	place := func(values []float32) device.Buffer { return upload(p.dev, values) }
	p.logMel = &deviceLogMel{l, device.LogMelSpec{
		FFT: f.FFT, Hop: f.Hop, Before: before, Window: place(e.WindowWeights()), Roots: place(e.FourierRoots()),
		Spans: place(spans), Bank: place(bank), Floor: float32(f.Floor), Mean: place(norm.Mean), Std: place(norm.Std), Limit: norm.Limit,
	}}
}

// Close gives the Plan's memory back to the device. Neither the Plan nor what it made may be used any more.
func (p *Plan) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clips.free(p.dev)
	for _, w := range p.shapes {
		w.free(p.dev)
	}
	for _, list := range p.idle {
		for _, e := range list {
			e.close()
		}
	}
	clear(p.shapes)
	clear(p.idle)
	if l := p.logMel; l != nil {
		for _, b := range []device.Buffer{l.spec.Window, l.spec.Roots, l.spec.Spans, l.spec.Bank, l.spec.Mean, l.spec.Std} {
			p.dev.Free(b)
		}
	}
}

// maxShapes bounds the sets of weights that a Plan keeps for streams. Groups that use others keep them alive for themselves.
const maxShapes = 8

// weightsFor returns weights packed for such runs, which streams share.
func (p *Plan) weightsFor(size runSize) *weights {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.shapes[size]; w != nil {
		return w
	}
	w, err := p.pack(size)
	if err != nil {
		panic(err) // the model was valid when it was compiled
	}
	if len(p.shapes) < maxShapes {
		p.shapes[size] = w
	}
	return w
}

// takeExecutor returns an executor for streams, to be given back by returnExecutor. There are as many as goroutines run
// streams at the same time.
func (p *Plan) takeExecutor(c capacity) *streamExecutor {
	p.mu.Lock()
	list := p.idle[c]
	if n := len(list); n > 0 {
		p.idle[c], p.idles = list[:n-1], p.idles-1
		p.mu.Unlock()
		return list[n-1]
	}
	p.mu.Unlock()
	return newStreamExecutor(p, c)
}

// returnExecutor gives back what takeExecutor returned. Those that nobody uses are kept up to a number.
func (p *Plan) returnExecutor(c capacity, e *streamExecutor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idles >= 2*runtime.GOMAXPROCS(0) {
		e.close()
		return
	}
	p.idle[c], p.idles = append(p.idle[c], e), p.idles+1
}

// upload returns device memory with the values.
func upload(d device.Device, values []float32) device.Buffer {
	b := d.Alloc(len(values))
	d.Upload(b, values)
	return b
}
