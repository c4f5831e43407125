package datasets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"github.com/polyphon/polyphon/features"
)

// LoaderConfig says how examples become rows.
type LoaderConfig struct {
	Extractor *features.Extractor
	Norm      *features.Norm // nil: rows are not normalised; read when an epoch begins, so that Stats may fill it in
	Window    float64        // seconds of an example
	Batch     int            // examples in a batch
	Threads   int            // goroutines that decode and augment; 0: one per core
	Context   Context        // surrounds the windows of some of Epoch's batches, and of all of InContext's
	Augment   Augment        // varies what Epoch yields
	Mask      features.Mask  // likewise; needs Norm
	// Balance evens out labels in an epoch: an example of a label with n of them is drawn n^-Balance as often as that
	// of a label with one. 0: every example once; 0.5: the square root of the shares; 1: all labels equally often.
	Balance    float64
	Repeat     int   // how often an epoch shows each example, augmented differently each time; 0: once
	Raw        bool  // Batch.Raw is filled in
	Seed       int64 // of Epoch's order and augmentation
	CacheBytes int64 // memory for decoded clips; 0: 1 GiB; negative: none. Clips beyond are decoded in every epoch.
}

// Batch is a number of examples. It and its slices are the Loader's, and valid until the next iteration.
type Batch struct {
	X            []float32 // (B, Frames, mels)
	Raw          []float32 // what X is before it is normalised and masked, where LoaderConfig.Raw asks for it
	Labels       []int     // B indices into Set.Labels
	Items        []Item    // B
	B            int       // at least 1; LoaderConfig.Batch but for the last batch, and where clips could not be read
	Frames       int
	Lead, Window int // the labels' windows are Window frames after the first Lead ones; the others are context

	places []Place // of the examples, in a pass that has them
}

// Loader makes batches of rows. Each iteration has its own state; any number may run at a time.
type Loader struct {
	cfg       LoaderConfig
	items     []Item
	cache     *cache
	sources   []source         // of the items
	inOrder   []int            // all items
	noise     func() [][]int16 // the split's parts of the noise recordings, to mix in, read by the first call
	sinc      *interpolator
	window    int              // samples of a window
	lead      int              // samples of context before it at most, a whole number of hops
	longest   int              // samples of a window and its context
	clips     []int            // items that are neither silence nor negatives: the neighbours in a context
	negatives []int            // items that are cut from negatives
	hard      []Place          // where half of them are cut, in training
	pause     []int16          // zeros
	unknown   *Item            // one of `_unknown_`; nil: there is none
	mutex     sync.Mutex       // guards skipped and failed
	skipped   map[string]error // by path
	failed    map[int]bool     // items that could not be read
}

// NewLoader returns a Loader of items, with the Set's noise recordings. Errors wrap ErrNoData (no items) or ErrOptions.
func NewLoader(items []Item, noise []Recording, cfg LoaderConfig) (*Loader, error) {
	cfg.Threads = cmp.Or(cfg.Threads, runtime.GOMAXPROCS(0))
	cfg.CacheBytes = cmp.Or(cfg.CacheBytes, 1<<30)
	cfg.Repeat = cmp.Or(cfg.Repeat, 1)
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("%w: this split of the data is empty", ErrNoData)
	}
	rate, hop := cfg.Extractor.Config().Rate, cfg.Extractor.Config().Hop
	l := &Loader{
		cfg: cfg, items: items, sinc: newInterpolator(),
		cache:   &cache{rate: rate, limit: cfg.CacheBytes, files: map[string]*file{}, warnings: Warnings{}},
		window:  int(math.Round(cfg.Window * float64(rate))),
		lead:    int(math.Round(cfg.Context.Before*float64(rate)/float64(hop))) * hop,
		pause:   make([]int16, int(pauseSeconds*float64(rate))+1),
		skipped: map[string]error{}, failed: map[int]bool{},
	}
	l.longest = l.lead + l.window + int(math.Round(cfg.Context.After*float64(rate)))
	for i, it := range items {
		l.sources, l.inOrder = append(l.sources, l.cache.add(it.Path, it.Memory, it.Span(cfg.Window))), append(l.inOrder, i)
		switch {
		case it.Negative:
			l.negatives = append(l.negatives, i)
		case !it.Silence:
			l.clips = append(l.clips, i)
		}
		if it.Other {
			l.unknown = &items[i]
		}
	}
	var recordings []source
	for _, r := range noise {
		if part := r.Parts[items[0].Split]; part != (Span{}) {
			recordings = append(recordings, l.cache.add(r.Path, r.Memory, part))
		}
	}
	l.noise = sync.OnceValue(func() [][]int16 { return l.readNoise(recordings) })
	return l, nil
}

func (c LoaderConfig) check() error {
	switch {
	case c.Extractor == nil:
		return fmt.Errorf("%w: no features", ErrOptions)
	case !(c.Window*float64(c.Extractor.Config().Rate) >= 1 && c.Window <= maxSeconds):
		return fmt.Errorf("%w: window of %g seconds", ErrOptions, c.Window)
	case c.Batch < 1 || c.Threads < 1 || c.Repeat < 1:
		return fmt.Errorf("%w: batches of %d by %d threads, %d times", ErrOptions, c.Batch, c.Threads, c.Repeat)
	case min(c.Mask.TimeMasks, c.Mask.MaxTime, c.Mask.FreqMasks, c.Mask.MaxFreq) < 0:
		return fmt.Errorf("%w: negative mask %+v", ErrOptions, c.Mask)
	case c.Mask != features.Mask{} && c.Norm == nil:
		return fmt.Errorf("%w: masks need normalised rows", ErrOptions)
	}
	return errors.Join(inRange("balance", 0, c.Balance, 0, 1), c.Augment.Validate(), c.Context.Validate())
}

// readNoise reads the parts of recordings that are mixed in.
func (l *Loader) readNoise(recordings []source) (noise [][]int16) {
	const limit = 1 << 28 // bytes
	size := 0
	for _, r := range recordings {
		if size > limit {
			break
		}
		samples, err := l.cache.read(r)
		if err != nil {
			l.skip(r.path, err)
			continue
		}
		size += 2 * len(samples)
		noise = append(noise, samples)
	}
	return noise
}

// Samples returns the samples that Ordered makes the rows of example i of: its window. A clip that cannot be read gives
// an error, and Skipped names it.
func (l *Loader) Samples(i int) ([]float32, error) {
	samples, err := l.read(i)
	if err != nil {
		return nil, err
	}
	w := l.newWorker(pass{})
	w.fill(&l.items[i], samples)
	return w.stretch, nil
}

// Len returns the number of examples in an epoch, unreadable ones included.
func (l *Loader) Len() int { return len(l.items) * l.cfg.Repeat }

// Batches returns the number of batches in an epoch, if no whole batch is unreadable.
func (l *Loader) Batches() int { return (l.Len() + l.cfg.Batch - 1) / l.cfg.Batch }

// Skipped returns an error for each clip that could not be read so far, which names it, sorted by path.
func (l *Loader) Skipped() (skipped []error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, path := range slices.Sorted(maps.Keys(l.skipped)) {
		skipped = append(skipped, l.skipped[path])
	}
	return skipped
}

// Warnings returns what was wrong with the files that have been read so far.
func (l *Loader) Warnings() Warnings {
	l.cache.mutex.Lock()
	defer l.cache.mutex.Unlock()
	return maps.Clone(l.cache.warnings)
}

func (l *Loader) skip(path string, err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.skipped[path] = err
}

// read returns an item's samples. One that cannot be read counts as skipped.
func (l *Loader) read(index int) ([]int16, error) {
	samples, err := l.cache.read(l.sources[index])
	if err != nil {
		l.skip(l.items[index].Path, err)
		l.mutex.Lock()
		defer l.mutex.Unlock()
		l.failed[index] = true
	}
	return samples, err
}

// Check reads every clip, so that Skipped and Unreadable name those that cannot be read.
func (l *Loader) Check(ctx context.Context, progress Progress) error {
	return forEach(ctx, len(l.items), progress, func(i int) error {
		l.read(i)
		return nil
	})
}

// Unreadable returns the labels, as indices into Set.Labels, none of whose examples can be read, each with one of the
// reasons. It knows of the clips that have been read.
func (l *Loader) Unreadable() map[int]error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	reasons, readable := map[int]error{}, map[int]bool{}
	for i, it := range l.items {
		if !l.failed[i] {
			readable[it.Label] = true
		} else if reasons[it.Label] == nil {
			reasons[it.Label] = l.skipped[it.Path]
		}
	}
	maps.DeleteFunc(reasons, func(label int, _ error) bool { return readable[label] })
	return reasons
}

// Epoch yields every example (see LoaderConfig.Balance) once, in random order, augmented and masked. Order and
// augmentation depend on Seed and epoch alone: not on Threads, nor on which epochs were run before. Clips shorter than
// the window lie in its middle, zeros around them; of clips half as long again as the window, each epoch takes another
// part. Where Augment is not zero, silence examples are cut anew in each epoch.
//
// Unreadable clips are skipped. The only errors, which end the iteration, are ctx's and one wrapping ErrNoData when no
// clip at all could be read. The goroutines are gone when the loop ends, however it does.
func (l *Loader) Epoch(ctx context.Context, epoch int) iter.Seq2[*Batch, error] {
	return l.iterate(ctx, pass{order: l.order(epoch), train: true, epoch: epoch, norm: l.cfg.Norm})
}

// Ordered yields every example once, in order, unaugmented, of long clips the middle. It ends and skips as Epoch does.
func (l *Loader) Ordered(ctx context.Context) iter.Seq2[*Batch, error] {
	return l.iterate(ctx, pass{order: l.inOrder, norm: l.cfg.Norm, lead: noContext})
}

// InNoise is Ordered with noise from the recordings' parts of this split, at a signal-to-noise ratio in dB of mean
// powers over the window. It is the same each time.
func (l *Loader) InNoise(ctx context.Context, snr float64) iter.Seq2[*Batch, error] {
	return l.iterate(ctx, pass{order: l.inOrder, norm: l.cfg.Norm, lead: noContext, noisy: true, snr: snr})
}

// InContext is InNoise with each window in its context, between other clips of this loader, in the same noise.
func (l *Loader) InContext(ctx context.Context, snr float64) iter.Seq2[*Batch, error] {
	return l.iterate(ctx, pass{order: l.inOrder, norm: l.cfg.Norm, lead: l.lead, noisy: true, snr: snr})
}

// Stats returns the statistics of the unaugmented rows of all clips but silence, a tenth of which is digital.
func (l *Loader) Stats(ctx context.Context, progress Progress) (features.Norm, error) {
	var s features.Stats
	done := 0
	for b, err := range l.iterate(ctx, pass{order: l.inOrder, lead: noContext}) {
		if err != nil {
			return features.Norm{}, err
		}
		size := len(b.X) / b.B
		for i, it := range b.Items {
			if !it.Silence && !it.Negative {
				s.Add(b.X[i*size:(i+1)*size], l.cfg.Extractor.Config().Mels)
			}
		}
		if done += b.B; progress != nil {
			progress(done, len(l.items))
		}
	}
	n := s.Norm()
	if len(n.Mean) == 0 {
		return n, fmt.Errorf("%w: there is only silence", ErrNoData)
	}
	return n, nil
}

// order draws which examples an epoch shows, and when.
func (l *Loader) order(epoch int) (order []int) {
	rng := l.rng(epoch, orderStream)
	for range l.cfg.Repeat {
		order = append(order, l.shuffled(rng)...)
	}
	return order
}

// shuffled draws an order of the examples. With Balance, an example's expected number of appearances is rounded up or
// down (systematic sampling).
func (l *Loader) shuffled(rng *rand.Rand) []int {
	order := rng.Perm(len(l.items))
	if l.cfg.Balance == 0 {
		return order
	}
	// Negatives are as many as was asked for, however many examples of _unknown_ there are.
	all := len(order)
	order = slices.DeleteFunc(order, func(i int) bool { return l.items[i].Negative })
	count := map[int]int{}
	for _, i := range order {
		count[l.items[i].Label]++
	}
	weight := func(i int) float64 { return math.Pow(float64(count[l.items[i].Label]), -l.cfg.Balance) }
	total := 0.0
	for _, i := range order {
		total += weight(i)
	}
	drawn := make([]int, 0, len(order))
	due := rng.Float64()
	for _, i := range order {
		for due += weight(i) / total * float64(len(order)); due >= 1; due-- {
			drawn = append(drawn, i)
		}
	}
	drawn = append(drawn[:min(len(drawn), len(order))], l.negatives...)
	rng.Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
	return drawn[:min(len(drawn), all)]
}
