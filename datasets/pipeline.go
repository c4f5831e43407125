package datasets

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/polyphon/polyphon/features"
	"golang.org/x/sync/errgroup"
)

// pass is one way through the examples.
type pass struct {
	order []int // indices into Loader.items
	train bool  // augmented, with contexts as drawLead draws them
	epoch int
	norm  *features.Norm // nil: not normalised
	lead  int            // samples of context before the windows, unless train; noContext: they are alone
	noisy bool           // noise is added though nothing is augmented, at the signal-to-noise ratio
	snr   float64        // in dB
	// places says where the examples, which are negatives, begin in their recordings; nil: where each example says.
	places []Place
}

// slot is a batch in the making. Workers take its examples one by one, in order.
type slot struct {
	Batch
	failed  []bool // of the examples
	indices []int  // of the examples, in Loader.items
	first   int    // position of the first one in the pass
	lead    int    // samples of context before the examples' windows, or noContext
	size    int    // values of an example
	next    atomic.Int32
	group   errgroup.Group // of workers
}

// iterate runs a pass. While the consumer uses one batch, workers make the next ones, as many as there are slots.
func (l *Loader) iterate(ctx context.Context, p pass) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		running, cancel := context.WithCancel(ctx)
		workers := make(chan *worker, l.cfg.Threads)
		for range l.cfg.Threads {
			workers <- l.newWorker(p)
		}
		slots, batches, seen := l.slots(), (len(p.order)+l.cfg.Batch-1)/l.cfg.Batch, 0
		defer func() {
			cancel()
			for _, s := range slots {
				s.group.Wait()
			}
		}()
		for k := range len(slots) + batches {
			s := slots[k%len(slots)]
			if k >= len(slots) {
				if s.group.Wait() != nil || ctx.Err() != nil {
					break
				}
				s.close()
				if s.B > 0 && !yield(&s.Batch, nil) {
					return
				}
				seen += s.B
			}
			if k < batches {
				l.start(running, p, s, k*l.cfg.Batch, workers)
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		} else if seen == 0 {
			errs := l.Skipped()
			yield(nil, fmt.Errorf("%w: none of the %d clips could be read; the first: %w", ErrNoData, len(errs), errs[0]))
		}
	}
}

// slots returns as many slots as keep every worker busy.
func (l *Loader) slots() []*slot {
	slots := make([]*slot, min(2+(2*l.cfg.Threads+l.cfg.Batch-1)/l.cfg.Batch, l.Batches()))
	n, c := min(l.cfg.Batch, l.Len()), l.cfg.Extractor.Config()
	values := n * c.Frames(l.longest) * c.Mels
	for i := range slots {
		s := &slot{failed: make([]bool, n)}
		s.X, s.Labels, s.Items = make([]float32, values), make([]int, n), make([]Item, n)
		if l.cfg.Raw {
			s.Raw = make([]float32, values)
		}
		slots[i] = s
	}
	return slots
}

// start sets a slot to the batch that begins at a position of a pass, and lets workers make it as they become free.
func (l *Loader) start(ctx context.Context, p pass, s *slot, first int, workers chan *worker) {
	s.first, s.indices = first, p.order[first:min(first+l.cfg.Batch, len(p.order))]
	s.next.Store(0)
	if s.places = nil; p.places != nil {
		s.places = slices.Clone(p.places[first : first+len(s.indices)])
	}
	if s.lead = p.lead; p.train {
		s.lead = l.drawLead(p.epoch, first)
	}
	c := l.cfg.Extractor.Config()
	s.Window = c.Frames(l.window)
	s.Frames, s.Lead = s.Window, 0
	if s.lead != noContext {
		s.Frames, s.Lead = c.Frames(l.longest), s.lead/c.Hop
	}
	s.size = s.Frames * c.Mels
	s.resize(len(s.indices))
	for range min(l.cfg.Threads, len(s.indices)) {
		s.group.Go(func() error {
			select {
			case w := <-workers:
				for ctx.Err() == nil {
					k := int(s.next.Add(1)) - 1
					if k >= len(s.indices) {
						break
					}
					w.makeExample(s, k)
				}
				workers <- w
			case <-ctx.Done():
			}
			return ctx.Err()
		})
	}
}

// resize sets the batch's number of examples.
func (s *slot) resize(n int) {
	s.B, s.X, s.Labels, s.Items = n, s.X[:n*s.size], s.Labels[:n], s.Items[:n]
	s.Raw = s.Raw[:min(n*s.size, cap(s.Raw))]
}

// rows returns the rows of example k among x, none if x is empty.
func (s *slot) rows(x []float32, k int) []float32 {
	return x[min(k*s.size, len(x)):min((k+1)*s.size, len(x))]
}

// close moves the examples together, over the gaps of unreadable clips.
func (s *slot) close() {
	n := 0
	for k := range s.indices {
		if s.failed[k] {
			continue
		}
		if n < k {
			copy(s.rows(s.X, n), s.rows(s.X, k))
			copy(s.rows(s.Raw, n), s.rows(s.Raw, k))
			s.Labels[n], s.Items[n] = s.Labels[k], s.Items[k]
			if s.places != nil {
				s.places[n] = s.places[k]
			}
		}
		n++
	}
	s.resize(n)
	s.places = s.places[:min(n, len(s.places))]
}
