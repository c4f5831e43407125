package polyphon

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"math/bits"
	"slices"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/inference"
)

// Score is a label's probability.
type Score struct {
	Label string
	P     float64 // in [0, 1]; those of all labels add up to 1, but for PoolMax
}

// Window is the answer for the sound between Start and End, in seconds.
type Window struct {
	Start, End float64
	Scores     []Score // of all labels, the likeliest first
}

// Background reports whether the likeliest label is one of those that stand for "none of the words".
func (w Window) Background() bool { return detect.Background(w.Scores[0].Label) }

// Classify returns the probabilities of all labels for mono samples in [-1, 1] at a rate in hertz that audio.Resample
// converts, the likeliest first. Samples that are NaN, infinite or beyond ±2³² count as 0.
//
// A sound of a window's length or less is one run of the network; where it is shorter, it is put in the middle of a
// window, between zeros, as in training. A longer sound is cut into windows, one every quarter of a window and a last
// one that ends where the sound ends, each is classified on its own, and the answer is their Overall. So it does not
// matter whether a sound is a little shorter or longer than a window. Errors wrap audio.ErrEmpty without samples,
// audio.ErrFormat for the rate, ErrDiverged, ErrClosed.
func (r *Recognizer) Classify(samples []float32, rate int) ([]Score, error) {
	result := r.ClassifyBatch([]audio.Clip{{Rate: rate, Samples: samples}})[0]
	return result.Scores, result.Err
}

// ClassifyFile is Classify of the sound file at path, in any format that audio.Decode reads. Errors of reading name it.
func (r *Recognizer) ClassifyFile(path string) ([]Score, error) {
	clip, err := audio.ReadFile(path, r.Model().Features.Rate)
	if err != nil {
		return nil, err
	}
	return r.Classify(clip.Samples, clip.Rate)
}

// Result is the answer for one sound of a batch, as Classify returns it.
type Result struct {
	Scores []Score
	Err    error
}

// ClassifyBatch is Classify of several sounds, in their order. Those that are no longer than a window are computed
// together, which costs less than each by itself. An error concerns its sound alone.
func (r *Recognizer) ClassifyBatch(clips []audio.Clip) []Result {
	results := make([]Result, 0, len(clips))
	for part := range slices.Chunk(clips, r.maxBatch) {
		results = append(results, r.classifyTogether(part)...)
	}
	return results
}

func (r *Recognizer) classifyTogether(clips []audio.Clip) []Result {
	b, err := r.takeBatch(len(clips))
	if err != nil {
		return slices.Repeat([]Result{{Err: err}}, len(clips))
	}
	defer r.returnBatch(b)
	results := make([]Result, len(clips))
	for i, c := range clips {
		samples, err := r.beginning(c)
		switch {
		case err != nil:
			results[i].Err = err
		case len(samples) > b.window:
			results[i].Scores, results[i].Err = r.ClassifySource(context.Background(), c.Source())
		default:
			b.add(i, samples)
		}
	}
	if err := b.run(); err != nil {
		for _, i := range b.index {
			results[i].Err = err
		}
		return results
	}
	classes := len(r.Model().Labels)
	for k, i := range b.index {
		logits := b.logits[k*classes:][:classes]
		if results[i].Scores = r.scores(logits); results[i].Scores == nil {
			results[i].Err = inference.Diverged(0, clips[i].Duration().Seconds())
			continue
		}
		input := r.newDriftInput()
		addToDrift(&input, 0, logits)
		input.finish()
	}
	return results
}

// beginning returns a sound at the model's rate: a window and one sample, or all of it.
func (r *Recognizer) beginning(c audio.Clip) ([]float32, error) {
	n := r.Model().WindowSamples() + 1
	if len(c.Samples) == 0 {
		return nil, audio.ErrEmpty
	}
	if c.Rate == r.Model().Features.Rate {
		return c.Samples[:min(n, len(c.Samples))], nil
	}
	src, err := audio.Resample(c.Source(), r.Model().Features.Rate)
	if err != nil {
		return nil, err
	}
	samples := make([]float32, n)
	n, err = audio.ReadFull(src, samples)
	if err == io.EOF {
		err = nil
	}
	return samples[:n], err
}

// scores returns the probabilities of logits, the likeliest first, or nil where they are not finite.
func (r *Recognizer) scores(logits []float32) []Score {
	p := make([]float64, len(logits))
	for i, v := range logits {
		p[i] = float64(v)
	}
	if !r.Model().Probabilities(p) {
		return nil
	}
	return r.rank(p)
}

// rank returns the labels with their probabilities, the likeliest first; of equals, the first in the model's order. A
// label beyond the model's has what is missing from a sum of 1.
func (r *Recognizer) rank(p []float64) []Score {
	scores := make([]Score, len(r.labels))
	rest := 1.0
	for i, label := range r.labels {
		if i == len(p) {
			scores[i] = Score{label, max(rest, 0)}
			break
		}
		scores[i] = Score{label, p[i]}
		rest -= p[i]
	}
	slices.SortStableFunc(scores, func(a, b Score) int { return cmp.Compare(b.P, a.P) })
	return scores
}

// ClassifyRows is Classify of a window's log-mel rows, (frames, mels) as features.Extractor gives them, not normalised.
// Another number of values than those of a window wraps audio.ErrFormat.
func (r *Recognizer) ClassifyRows(rows []float32) ([]Score, error) {
	f, window := r.Model().Features, r.Model().WindowSamples()
	if want := f.Frames(window) * f.Mels; len(rows) != want {
		return nil, fmt.Errorf("%w: %d values of features, a window has %d", audio.ErrFormat, len(rows), want)
	}
	b, err := r.takeBatch(1)
	if err != nil {
		return nil, err
	}
	defer r.returnBatch(b)
	if err := b.runRows(rows); err != nil {
		return nil, err
	}
	scores := r.scores(b.logits)
	if scores == nil {
		return nil, inference.Diverged(0, r.Model().Window)
	}
	return scores, nil
}

// Embed returns the embedding of a sound, given as for Classify: the mean over time of each of the network's last
// channels, before the linear layer that makes labels of them. Of a sound longer than a window it is the embedding of
// the window at its beginning. Errors are Classify's.
func (r *Recognizer) Embed(samples []float32, rate int) ([]float32, error) {
	samples, err := r.beginning(audio.Clip{Rate: rate, Samples: samples})
	if err != nil {
		return nil, err
	}
	b, err := r.takeBatch(1)
	if err != nil {
		return nil, err
	}
	defer r.returnBatch(b)
	b.add(0, samples[:min(len(samples), b.window)])
	if err := b.run(); err != nil {
		return nil, err
	}
	embedding := b.clips.Embeddings(1)
	if slices.ContainsFunc(embedding, func(v float32) bool { return v-v != 0 }) {
		return nil, inference.Diverged(0, float64(len(samples))/float64(r.Model().Features.Rate))
	}
	return embedding, nil
}

// Windows yields the answers for windows of the model's length, one a hop (WithHop), beginning at 0. What remains at
// the end and is shorter than a hop is answered by one more window that ends where the sound ends. A sound of a
// window's length or less has one answer, that of Classify.
//
// A sound longer than a window runs through the network once, in bounded memory, and its windows come as the source
// delivers them, a few frames and the model's lookahead later. An error ends the sequence: the source's, ctx's,
// audio.ErrEmpty, audio.ErrFormat, ErrDiverged, ErrClosed.
func (r *Recognizer) Windows(ctx context.Context, src audio.Source) iter.Seq2[Window, error] {
	return func(yield func(Window, error) bool) {
		m, inParts := r.Model(), r.slotsOf(src) != nil
		src, err := audio.Resample(src, m.Features.Rate)
		if err != nil {
			yield(Window{}, err)
			return
		}
		first := m.WindowSamples() + 1
		buffer := make([]float32, max(first, windowsPiece))
		n, err := audio.ReadFull(src, buffer[:first])
		if n < first {
			yield(r.onlyWindow(buffer[:n], err))
			return
		}
		if inParts {
			r.recordingWindows(ctx, &headed{src, buffer[:n], err})(yield)
			return
		}
		input := r.newDriftInput()
		o := inference.StreamOptions{Hop: r.stream.Hop, WholeWindows: true}
		for d, err := range r.decisions(ctx, src, o, buffer, n) {
			if err != nil {
				yield(Window{}, err)
				return
			}
			addToDrift(&input, d.End, d.Logits)
			if !yield(Window{d.Start, d.End, r.rank(d.P)}, nil) {
				return
			}
		}
		input.finish()
	}
}

// onlyWindow returns the answer for a sound that is no longer than a window and ended with err.
func (r *Recognizer) onlyWindow(samples []float32, err error) (Window, error) {
	if err != io.EOF {
		return Window{}, err
	}
	rate := r.Model().Features.Rate
	scores, err := r.Classify(samples, rate)
	if err != nil {
		return Window{}, err
	}
	return Window{0, float64(len(samples)) / float64(rate), scores}, nil
}

const (
	windowsPiece = 1 << 15 // samples that Windows reads at a time, at most
	maxBatch     = 64      // sounds that are computed together, at most
	maxIdle      = 16      // unused batches of a size that are kept
)

// batch is the working memory for a few sounds that are no longer than a window.
type batch struct {
	clips   *inference.Clips
	window  int       // samples
	samples []float32 // a window for each sound
	index   []int     // of the sounds among those of add
	logits  []float32 // of these sounds, one after the other
}

// takeBatch returns a batch for n sounds, to be given back by returnBatch.
func (r *Recognizer) takeBatch(n int) (b *batch, err error) {
	defer catchFault(&err)
	size := 1 << bits.Len(uint(n-1)) // few sizes serve all
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if list := r.idle[size]; len(list) > 0 {
		r.idle[size] = list[:len(list)-1]
		return list[len(list)-1], nil
	}
	m := r.Model()
	window := m.WindowSamples()
	return &batch{
		clips: r.plan.Clips(size, m.Features.Frames(window)), window: window, samples: make([]float32, 0, size*window),
	}, nil
}

func (r *Recognizer) returnBatch(b *batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := cap(b.samples) / b.window
	b.samples, b.index = b.samples[:0], b.index[:0]
	if r.closed || len(r.idle[size]) >= maxIdle {
		b.clips.Close()
		return
	}
	r.idle[size] = append(r.idle[size], b)
}

// add puts the sound of the given number in the middle of a window of zeros.
func (b *batch) add(i int, samples []float32) {
	at := len(b.samples)
	b.samples = b.samples[:at+b.window]
	window := b.samples[at:]
	front := (b.window - len(samples)) / 2
	clear(window[:front])
	copy(window[front:], samples)
	audio.ReplaceOdd(window[front:][:len(samples)])
	clear(window[front+len(samples):])
	b.index = append(b.index, i)
}

// runRows computes the answer for a window's features.
func (b *batch) runRows(rows []float32) (err error) {
	defer catchFault(&err)
	b.logits = b.clips.Run(rows, 1)
	return nil
}

// run computes the answers of the sounds that were added.
func (b *batch) run() (err error) {
	defer catchFault(&err)
	if len(b.index) > 0 {
		b.logits = b.clips.RunSamples(b.samples, len(b.index))
	}
	return nil
}
