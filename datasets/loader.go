package datasets

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"github.com/polyphon/polyphon/features"
)

// LoaderConfig says how examples become batches.
type LoaderConfig struct {
	Extractor  *features.Extractor
	Norm       *features.Norm // nil: rows are not normalised
	Window     float64        // seconds of an example
	Batch      int            // examples in a batch
	Threads    int            // goroutines; 0: one a core
	Augment    Augment        // of Epoch's examples
	Mask       features.Mask  // of Epoch's rows
	Seed       int64
	CacheBytes int64 // decoded clips kept in memory between epochs; 0: none
}

// Loader reads examples and turns them into batches of rows, ahead of whoever uses them.
type Loader struct {
	items  []Item
	cfg    LoaderConfig
	window int // samples
	frames int
	store  *store
}

// Batch is a number of examples. It is valid until the iteration goes on.
type Batch struct {
	X         []float32 // rows, (B, Frames, mels)
	Labels    []int
	Items     []Item
	B, Frames int
}

// NewLoader returns a Loader of items. noise are the set's background recordings. It returns an error wrapping ErrNoData
// when there are no items.
func NewLoader(items []Item, noise []string, cfg LoaderConfig) (*Loader, error) {
	if len(items) == 0 {
		return nil, fmt.Errorf("%w: the split has no clips", ErrNoData)
	}
	if cfg.Threads <= 0 {
		cfg.Threads = runtime.GOMAXPROCS(0)
	}
	f := cfg.Extractor.Config()
	window := int(cfg.Window*float64(f.Rate) + 0.5)
	if cfg.Batch < 1 || window < 1 {
		return nil, fmt.Errorf("%w: batches of %d examples of %g s", ErrOptions, cfg.Batch, cfg.Window)
	}
	l := &Loader{items: slices.Clone(items), cfg: cfg, window: window, frames: f.Frames(window)}
	l.store = newStore(items, noise, f.Rate, max(maxClipSeconds*f.Rate, window), cfg.CacheBytes)
	return l, nil
}

// Len returns the number of examples in an epoch, unreadable ones included.
func (l *Loader) Len() int { return len(l.items) }

// Batches returns the number of batches in an epoch.
func (l *Loader) Batches() int { return (len(l.items) + l.cfg.Batch - 1) / l.cfg.Batch }

// Batch returns the number of examples in a full batch.
func (l *Loader) Batch() int { return l.cfg.Batch }

// Frames returns the number of rows of an example.
func (l *Loader) Frames() int { return l.frames }

// Skipped returns the unreadable clips met so far, in the order of the examples.
func (l *Loader) Skipped() []Skip { return l.store.skips() }

// Ordered returns the examples in their order, without augmentation: short clips between zeros, of long ones the middle.
func (l *Loader) Ordered(ctx context.Context) iter.Seq2[*Batch, error] {
	order := make([]int, len(l.items))
	for i := range order {
		order[i] = i
	}
	return l.run(ctx, order, func(w *worker, dst []float32, i int) error { return w.plain(dst, i) })
}

// Epoch returns the examples of one epoch, shuffled and augmented. What it gives depends on the Seed, the epoch and the
// examples only.
func (l *Loader) Epoch(ctx context.Context, epoch int) iter.Seq2[*Batch, error] {
	order := l.random(epoch, -1).Perm(len(l.items))
	return l.run(ctx, order, func(w *worker, dst []float32, i int) error {
		return w.augmented(dst, i, l.random(epoch, i))
	})
}

// random returns the generator of one example in one epoch.
func (l *Loader) random(epoch, item int) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(l.cfg.Seed), uint64(epoch)<<32|uint64(uint32(item))))
}

// Stats returns the mean and deviation of each mel over all examples, unaugmented. Digital silence is left out: it says
// nothing about sound.
func (l *Loader) Stats(ctx context.Context) (features.Norm, error) {
	var stats features.Stats
	mels := l.cfg.Extractor.Config().Mels
	for b, err := range l.Ordered(ctx) {
		if err != nil {
			return features.Norm{}, err
		}
		for i, it := range b.Items {
			if !it.Silence {
				stats.Add(b.X[i*l.frames*mels:(i+1)*l.frames*mels], mels)
			}
		}
	}
	if stats.Count() == 0 {
		return features.Norm{}, fmt.Errorf("%w: no clip could be read", ErrNoData)
	}
	return stats.Norm(), nil
}

// batchesAhead is how many batches wait for whoever uses them.
const batchesAhead = 3

// pending is a batch that is being made.
type pending struct {
	batch Batch
	index []int  // of its examples
	read  []bool // that could be read
	work  sync.WaitGroup
}

// run makes the batches of the examples in order, with fill for each.
func (l *Loader) run(ctx context.Context, order []int, fill func(w *worker, dst []float32, i int) error) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		inner, cancel := context.WithCancel(ctx)
		var goroutines sync.WaitGroup
		defer goroutines.Wait()
		defer cancel()

		tasks := make(chan func(*worker))
		for range l.cfg.Threads {
			goroutines.Go(func() {
				w := l.newWorker()
				for task := range tasks {
					task(w)
				}
			})
		}
		free, ready := make(chan *pending, batchesAhead), make(chan *pending, batchesAhead)
		for range batchesAhead {
			free <- l.newPending()
		}
		goroutines.Go(func() {
			defer close(tasks)
			defer close(ready)
			for part := range slices.Chunk(order, l.cfg.Batch) {
				select {
				case p := <-free:
					p.index = part
					ready <- p // has room: there are only so many
					l.spread(inner, p, tasks, fill)
				case <-inner.Done():
					return
				}
			}
		})
		for p := range ready {
			p.work.Wait()
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if l.gather(p); p.batch.B > 0 && !yield(&p.batch, nil) {
				return
			}
			free <- p
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		}
	}
}

func (l *Loader) newPending() *pending {
	n := l.cfg.Batch
	p := &pending{read: make([]bool, n)}
	p.batch.X = make([]float32, n*l.rowValues())
	p.batch.Frames = l.frames
	return p
}

// rowValues returns the number of values of one example's rows.
func (l *Loader) rowValues() int { return l.frames * l.cfg.Extractor.Config().Mels }

// spread hands out a batch's examples, as long as ctx lasts.
func (l *Loader) spread(ctx context.Context, p *pending, tasks chan<- func(*worker), fill func(*worker, []float32, int) error) {
	size := l.rowValues()
	x := p.batch.X[:cap(p.batch.X)]
	p.work.Add(len(p.index))
	for slot, i := range p.index {
		task := func(w *worker) {
			defer p.work.Done()
			p.read[slot] = fill(w, x[slot*size:slot*size:(slot+1)*size], i) == nil
		}
		select {
		case tasks <- task:
		case <-ctx.Done():
			p.work.Add(slot - len(p.index))
			return
		}
	}
}

// gather moves the examples that could be read together.
func (l *Loader) gather(p *pending) {
	b, size := &p.batch, l.rowValues()
	x := b.X[:cap(b.X)]
	b.B, b.Labels, b.Items = 0, b.Labels[:0], b.Items[:0]
	for slot, i := range p.index {
		if !p.read[slot] {
			continue
		}
		copy(x[b.B*size:(b.B+1)*size], x[slot*size:(slot+1)*size])
		b.Labels = append(b.Labels, l.items[i].Label)
		b.Items = append(b.Items, l.items[i])
		b.B++
	}
	b.X = x[:b.B*size]
}
