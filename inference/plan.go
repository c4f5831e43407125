// Package inference runs trained networks on clips, batches of clips, recordings, live sound and groups of live sounds.
//
// Compile binds a model's Program to a device. Plan.Clips runs whole clips. Plan.Group runs one stream or many, as
// their sound arrives: Plan.Group(1, ...) is a single stream. Its numbers are those of one pass over the whole sound.
package inference

import (
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"sync"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// Plan is a model compiled for inference on one device: batch norms are folded into the convolutions, the weights are
// packed for the device's matrix product, and what follows a product (shift, skip, Hadamard term, ReLU) is its
// epilogue, so that a `pi` block is two products, a `star` block a depthwise convolution and three, and each tensor is
// written once. Narrow convolutions multiply bytes, and what only they read is kept as bytes alone; on devices that are
// not device.Narrow their weights become float32, and what they read is not rounded. A Plan is shared by goroutines;
// each works with Clips or a Group of its own.
type Plan struct {
	model     *polynet.Model
	program   *polynet.Program // norms folded, products fused, without the steps of training
	values    polynet.Weights  // of program
	reach     polynet.Geometry // of a row of logits
	dev       device.Device
	serial    device.Device // for work on a clip or a few frames, too short to divide between threads
	extractor *features.Extractor
	logMel    device.LogMeler // nil: the processor makes the features
	spec      device.LogMelSpec
	clips     *weights // for clips of the model's window

	mu     sync.Mutex
	shared map[runSize]*weights // for groups, by the size of their runs
	idle   []*streamExecutor    // not in use, the latest first
}

// runSize is the size of a run: the number of streams, and of new frames of each.
type runSize struct{ streams, frames int }

// Compile prepares the model for inference on d. A model that is not consistent, or whose tensors would take more than
// 64 MB for a clip or a stream, gives an error that wraps polynet.ErrModel, before memory is allocated.
func Compile(m *polynet.Model, d device.Device) (*Plan, error) { return compile(m, d, features.New) }

// CompileReference is Compile with the slow, plain arithmetic of device.Ref and features.NewReference, which fast
// kernels are compared with.
func CompileReference(m *polynet.Model) (*Plan, error) {
	return compile(m, device.Ref(), features.NewReference)
}

func compile(
	m *polynet.Model, d device.Device, extract func(features.Config) (*features.Extractor, error),
) (*Plan, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	program, values, err := m.Inference()
	if err != nil {
		return nil, err
	}
	program, values = program.FuseProducts(values)
	program, values, err = lowerNarrow(program, values, d)
	if err != nil {
		return nil, err
	}
	extractor, err := extract(m.Features)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", polynet.ErrModel, err)
	}
	p := &Plan{
		model: m, program: program, values: values, reach: program.Reach(), dev: d, serial: d.Serial(),
		extractor: extractor, shared: map[runSize]*weights{},
		clips: &weights{size: runSize{1, m.Features.Frames(m.WindowSamples())}},
	}
	if err := p.checkMemory(); err != nil {
		return nil, err
	}
	p.clips.packed(p)
	p.useDeviceFeatures()
	return p, nil
}

// maxTensors bounds the bytes of all tensors that exist at the same time: of a clip of the model's window, and of a
// stream in runs of the default size. maxBatch bounds those of clips that are computed together, with their samples.
const maxTensors, maxBatch = 64 << 20, 256 << 20

// clipBytes returns the memory of the tensors of a clip of the model's window.
func (p *Plan) clipBytes() int64 {
	l := newLayout(p.program, true)
	return l.bytes(p.clips.size)
}

// BatchSize returns how many clips of the model's window, at most the given number, may be computed together in 256 MB:
// a power of two if they are fewer, and at least one.
func (p *Plan) BatchSize(most int) int {
	each := p.clipBytes() + 4*int64(p.model.WindowSamples())
	fit := max(1, maxBatch/each)
	if int64(most) <= fit {
		return most
	}
	return 1 << (bits.Len64(uint64(fit)) - 1)
}

func (p *Plan) checkMemory() error {
	l := newLayout(p.program, false)
	t := p.timing(StreamOptions{WholeWindows: true})
	stream := l.bytes(runSize{1, t.step}, runSize{1, t.maxFrames}) + 4*int64(l.history)
	for what, bytes := range map[string]int64{"clip": p.clipBytes(), "stream": stream} {
		if bytes > maxTensors {
			return fmt.Errorf("%w: the tensors of a %s take %d MB, at most %d are possible",
				polynet.ErrModel, what, bytes>>20, maxTensors>>20)
		}
	}
	return nil
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
	p.logMel, p.spec = l, device.LogMelSpec{
		FFT: f.FFT, Hop: f.Hop, Before: before, Window: p.upload(e.WindowWeights()), Roots: p.upload(e.FourierRoots()),
		Spans: p.upload(spans), Bank: p.upload(bank), Floor: float32(f.Floor),
		Mean: p.upload(norm.Mean), Std: p.upload(norm.Std), Limit: norm.Limit,
	}
}

// upload returns device memory with the values.
func (p *Plan) upload(values []float32) device.Buffer {
	b := p.dev.Alloc(len(values))
	p.dev.Upload(b, values)
	return b
}

// Close gives the Plan's memory back to the device. What the Plan made must be closed before, and neither may be used
// any more.
func (p *Plan) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clips.free(p.dev)
	for _, w := range p.shared {
		w.free(p.dev)
	}
	for _, e := range p.idle {
		e.close()
	}
	clear(p.shared)
	p.idle = nil
	s := p.spec
	for _, b := range []device.Buffer{s.Window, s.Roots, s.Spans, s.Bank, s.Mean, s.Std} {
		p.dev.Free(b)
	}
}

// maxCached bounds what a Plan keeps while no group uses it: sets of weights, and executors, of which it keeps more
// where more can run at the same time.
const maxCached = 8

// takeWeights returns weights for runs of the given size, which groups share, until returnWeights.
func (p *Plan) takeWeights(size runSize) *weights {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.shared[size]
	if w == nil {
		w = &weights{size: size}
		p.shared[size] = w
	}
	w.groups++
	return w
}

// returnWeights ends a group's use of weights. If there are more than maxCached sets, it frees any that are unused.
func (p *Plan) returnWeights(w *weights) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.groups--
	for size, w := range p.shared { // in random order, so that no set stays unused for ever
		if w.groups == 0 && len(p.shared) > maxCached {
			delete(p.shared, size)
			w.free(p.dev)
		}
	}
}

// takeExecutor returns an executor for one run, until returnExecutor: the idle one that was used last, or a new one.
func (p *Plan) takeExecutor(c capacity) *streamExecutor {
	p.mu.Lock()
	i := slices.IndexFunc(p.idle, func(e *streamExecutor) bool { return e.capacity == c })
	if i < 0 {
		p.mu.Unlock()
		return newStreamExecutor(p, c)
	}
	defer p.mu.Unlock()
	e := p.idle[i]
	p.idle = slices.Delete(p.idle, i, i+1)
	return e
}

// returnExecutor keeps an executor for later runs. Of too many, the one that has been idle for longest is freed.
func (p *Plan) returnExecutor(e *streamExecutor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = slices.Insert(p.idle, 0, e)
	if n := len(p.idle); n > max(maxCached, 2*runtime.GOMAXPROCS(0)) {
		p.idle[n-1].close()
		p.idle = slices.Delete(p.idle, n-1, n)
	}
}
