package datasets

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/polyphon/polyphon/features"
)

// pass is one way through the examples.
type pass struct {
	order []int // indices into Loader.items
	train bool  // augmented
	epoch int
	norm  *features.Norm // nil: not normalised
	noisy bool           // noise is added though nothing is augmented, at the signal-to-noise ratio
	snr   float64        // in dB
	// lead tells how many samples of context precede the windows of the batch that begins at a position; noContext: they are alone.
	lead func(first int) int
}

// slot is a batch in the making. The dispatcher fills in what it is to hold, workers write the rows, and whoever
// writes the last ones says so.
type slot struct {
	batch   Batch // what the consumer sees of the following
	x, raw  []float32
	labels  []int
	items   []Item
	failed  []bool
	indices []int // of the examples
	first   int   // position of the first one in the pass
	lead    int   // samples of context before the examples' windows, or noContext
	size    int   // values of an example
	left    atomic.Int32
	done    chan struct{}
}

// job is one example of a slot.
type job struct {
	slot *slot
	k    int
}

// iterate runs a pass: a dispatcher hands out the examples of the batches, in order, to the workers, as far ahead as
// there are slots; the consumer takes the batches in order and gives their slots back.
func (l *Loader) iterate(ctx context.Context, p pass) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		if p.noisy || p.train && l.cfg.Augment.Noise > 0 {
			l.readNoise()
		}
		running, cancel := context.WithCancel(ctx)
		var group sync.WaitGroup
		defer group.Wait()
		defer cancel()

		free, queue, jobs := l.slots(), make(chan *slot, l.ahead()), make(chan job, l.cfg.Threads)
		group.Go(func() {
			defer close(queue)
			defer close(jobs)
			l.dispatch(running, p, free, queue, jobs)
		})
		for range l.cfg.Threads {
			group.Go(func() {
				w := l.newWorker(p)
				for j := range jobs {
					w.run(j)
				}
			})
		}
		seen := 0
		for s := range queue {
			select {
			case <-s.done:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
			s.close()
			if s.batch.B > 0 && !yield(&s.batch, nil) {
				return
			}
			seen += s.batch.B
			free <- s
		}
		switch {
		case ctx.Err() != nil:
			yield(nil, ctx.Err())
		case seen == 0:
			yield(nil, l.describe())
		}
	}
}

// ahead is the number of batches that are in the making or in use: enough to keep every worker busy.
func (l *Loader) ahead() int {
	return min(2+(2*l.cfg.Threads+l.cfg.Batch-1)/l.cfg.Batch, l.Batches())
}

func (l *Loader) slots() chan *slot {
	free := make(chan *slot, l.ahead())
	n := min(l.cfg.Batch, len(l.items))
	for range cap(free) {
		s := &slot{
			x: make([]float32, n*l.size(l.longest)), labels: make([]int, n), items: make([]Item, n),
			failed: make([]bool, n), done: make(chan struct{}, 1),
		}
		if l.cfg.Raw {
			s.raw = make([]float32, len(s.x))
		}
		free <- s
	}
	return free
}

func (l *Loader) dispatch(ctx context.Context, p pass, free, queue chan *slot, jobs chan<- job) {
	for first := 0; first < len(p.order); first += l.cfg.Batch {
		var s *slot
		select {
		case s = <-free:
		case <-ctx.Done():
			return
		}
		s.first, s.indices = first, p.order[first:min(first+l.cfg.Batch, len(p.order))]
		s.lead = p.lead(first)
		s.batch.Frames, s.batch.Lead, s.batch.Window = l.frames, 0, l.frames
		if s.lead != noContext {
			s.batch.Frames, s.batch.Lead = l.cfg.Extractor.Config().Frames(l.longest), s.lead/l.cfg.Extractor.Config().Hop
		}
		s.size = s.batch.Frames * l.cfg.Extractor.Config().Mels
		s.left.Store(int32(len(s.indices)))
		queue <- s // has room for every slot
		for k := range s.indices {
			select {
			case jobs <- job{s, k}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// close moves the examples together, over the gaps of unreadable clips.
func (s *slot) close() {
	n, size := 0, s.size
	for k := range s.indices {
		if s.failed[k] {
			continue
		}
		if n < k {
			copy(s.x[n*size:(n+1)*size], s.x[k*size:(k+1)*size])
			if s.raw != nil {
				copy(s.raw[n*size:(n+1)*size], s.raw[k*size:(k+1)*size])
			}
			s.labels[n], s.items[n] = s.labels[k], s.items[k]
		}
		n++
	}
	s.batch.B, s.batch.X, s.batch.Labels, s.batch.Items = n, s.x[:n*size], s.labels[:n], s.items[:n]
	if s.raw != nil {
		s.batch.Raw = s.raw[:n*size]
	}
}
