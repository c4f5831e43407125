// Package polyphon recognises sounds with small polynomial networks: samples, files, recordings and live sound in,
// labels and events with probabilities out.
//
//	r, err := polyphon.Open("mine.safetensors")       // or polyphon.New(models.Base())
//	scores, err := r.Classify(samples, rate)          // one answer for a sound in memory
//	scores, err := r.ClassifySource(ctx, source)      // one answer for a recording
//	for w, err := range r.Windows(ctx, source) { }    // windows of a recording
//	for e, err := range r.Events(ctx, source) { }     // events of a recording
//	l, err := r.Listen(polyphon.Format{Rate: 48000})  // live sound: l.Write(pcm) or l.Push(samples), then l.Events()
//
// Sources come from package audio (audio.Decode), models from package polynet, embedded ones from package models.
package polyphon

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/polynet"
)

// Errors of a Recognizer, besides those of audio, polynet and detect, a context's, and a device's (device.Fault).
var (
	ErrClosed = errors.New("polyphon: the recognizer is closed")
	// ErrEnded is the error of a Listener to which sound is pushed after Flush.
	ErrEnded = errors.New("polyphon: the sound has ended, Reset begins another")
	// ErrDiverged says that the network's numbers grew beyond all bounds, so that there are no probabilities.
	ErrDiverged = inference.ErrDiverged
)

// Recognizer answers for sounds with one model on one device. Several goroutines may call its methods at once.
type Recognizer struct {
	plan     *inference.Plan
	maxBatch int            // sounds that are computed together
	labels   []string       // of answers
	classes  map[string]int // of the model's labels
	settings

	mu     sync.Mutex
	closed bool
	idle   map[int][]*batch // unused, by the sounds that they hold
}

// settings are what options choose.
type settings struct {
	device    device.Device
	threads   int
	reference bool
	detection detect.Config
	stream    inference.StreamOptions
	samples   bool
	pool      Pool
	slots     chan struct{} // of goroutines that work on recordings
	near      float64       // 0: no near misses
	preRoll   float64       // seconds

	minConfidence float64
	coverage      *float64 // nil: no sets
	drift         *Drift   // nil: none
}

// Option changes how a Recognizer works.
type Option func(*settings)

// WithDevice computes on d. Without it, New opens device.CPU.
func WithDevice(d device.Device) Option { return func(s *settings) { s.device = d } }

// WithThreads uses at most n threads of the CPU for a batch of sounds, and for every Recording; 0, the default, stands
// for one a core. Other single sounds and streams are computed on the caller's goroutine.
func WithThreads(n int) Option { return func(s *settings) { s.threads = n } }

// WithReference computes with the slow, plain arithmetic that fast kernels are compared with.
func WithReference() Option { return func(s *settings) { s.reference = true } }

// WithDetection replaces the model's operating point for events.
func WithDetection(c detect.Config) Option { return func(s *settings) { s.detection = c } }

// WithHop sets the seconds from one decision to the next in Windows, Events and live sound, at most the model's window.
// 0, the default, stands for half a window in Windows, and for as often as the network can in Events and live sound.
func WithHop(seconds float64) Option { return func(s *settings) { s.stream.Hop = seconds } }

// WithGate sets the level, in dB below full scale, of what counts as silence in Events and live sound; the network does
// not run in silence. 60 and -60 mean the same; 0, the default, is no gate.
func WithGate(decibels float64) Option {
	return func(s *settings) { s.stream.Gate = -max(decibels, -decibels) }
}

// WithSamples makes events carry their sound (Event.Samples).
func WithSamples() Option { return func(s *settings) { s.samples = true } }

// WithNear makes Events and live sound yield near misses, too, marked by Event.Near: sounds of which a label's averaged
// probability reached p, and no event of any label was there. They come when they have ended. 0, the default, is none.
func WithNear(p float64) Option { return func(s *settings) { s.near = p } }

// WithPreRoll makes the sound of events (WithSamples) begin so many seconds earlier, at most 30.
func WithPreRoll(seconds float64) Option { return func(s *settings) { s.preRoll = seconds } }

// Open returns a Recognizer with the model in the file at path. A file that cannot be used gives an error that wraps
// polynet.ErrModel; other errors are New's.
func Open(path string, options ...Option) (*Recognizer, error) {
	m, err := polynet.Load(path)
	if err != nil {
		return nil, err
	}
	return New(m, options...)
}

// New returns a Recognizer with the model. Errors wrap polynet.ErrModel for a model that is not consistent,
// polynet.ErrConfig and detect.ErrConfig for options that make no sense for it, ErrUncalibrated for such that need a
// calibration that it does not have, device.ErrKernels where POLYPHON_CPU names kernels that the machine does not have.
func New(m *polynet.Model, options ...Option) (recognizer *Recognizer, err error) {
	defer catchFault(&err)
	if m == nil {
		return nil, fmt.Errorf("%w: there is none", polynet.ErrModel)
	}
	r := &Recognizer{idle: map[int][]*batch{}, labels: answered(m), classes: map[string]int{}}
	for class, label := range m.Labels {
		r.classes[label] = class
	}
	r.detection = m.DetectionConfig()
	for _, option := range options {
		option(&r.settings)
	}
	if err := r.detection.Validate(m.Labels); err != nil {
		return nil, err
	}
	if !(r.near >= 0 && r.near <= 1) {
		return nil, fmt.Errorf("%w: near misses from %g on, a probability from 0 to 1", polynet.ErrConfig, r.near)
	}
	if !(r.preRoll >= 0 && r.preRoll <= maxEventSound) {
		return nil, fmt.Errorf("%w: a pre-roll of %g s, at most %d are possible", polynet.ErrConfig, r.preRoll, maxEventSound)
	}
	if !(r.stream.Hop >= 0 && r.stream.Hop <= m.Window) {
		return nil, fmt.Errorf("%w: a hop of %g s for windows of %g s", polynet.ErrConfig, r.stream.Hop, m.Window)
	}
	if !slices.Contains(append(Pools(), ""), r.pool) {
		return nil, fmt.Errorf("%w: the pool %q, there are %q", polynet.ErrConfig, r.pool, Pools())
	}
	if err := r.checkDoubt(m); err != nil {
		return nil, err
	}
	if r.threads < 0 || r.stream.Gate-r.stream.Gate != 0 { // NaN or infinite
		return nil, fmt.Errorf("%w: %d threads, a gate of %g dB", polynet.ErrConfig, r.threads, r.stream.Gate)
	}
	r.slots = newSlots(r.threads)
	if r.device == nil && !r.reference {
		if r.device, err = device.CPU(r.threads); err != nil {
			return nil, err
		}
	}
	if r.reference {
		r.plan, err = inference.CompileReference(m)
	} else {
		r.plan, err = inference.Compile(m, r.device)
	}
	if err != nil {
		return nil, err
	}
	r.maxBatch = r.plan.BatchSize(maxBatch)
	return r, nil
}

// Model returns the model, which is read-only.
func (r *Recognizer) Model() *polynet.Model { return r.plan.Model() }

// Close gives the memory back to the device. Calls that are under way must have ended, and listeners been closed.
func (r *Recognizer) Close() (err error) {
	defer catchFault(&err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	for _, list := range r.idle {
		for _, b := range list {
			b.clips.Close()
		}
	}
	clear(r.idle)
	r.plan.Close()
	return nil
}

// catchFault makes the error of a device's failure that panicked.
func catchFault(err *error) {
	if fault := device.Recovered(recover()); fault != nil {
		*err = fault
	}
}
