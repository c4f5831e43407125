package device

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// task is an operation cut into pieces that may run in any order and at the same time. The cuts depend on the
// operation's shape and never on the number of threads, which makes results reproducible.
type task interface {
	run(first, last int) // pieces first up to last
}

// pieces is a task that may allocate memory.
type pieces func(first, last int)

func (p pieces) run(first, last int) { p(first, last) }

// Work is counted in values read or written. grain is the work that justifies another thread: a few microseconds, of
// which waking the thread costs a fraction. A product does flopsPerValue operations in the time of a value.
const (
	grain         = 1 << 15
	flopsPerValue = 16
)

// parallelFor runs the n pieces of t on as many threads as its work justifies.
func parallelFor[T task](d *cpu, n, work int, t T) {
	if threads := min(d.threads, n, 1+work/grain); threads > 1 {
		forkJoin(d, threads, n, t)
	} else {
		t.run(0, n)
	}
}

// forkJoin is separate from parallelFor so that t stays off the heap there.
//
//go:noinline
func forkJoin[T task](d *cpu, threads, n int, t T) {
	j := &job{task: t, shares: make([]share, threads), done: make(chan struct{})}
	j.left.Store(int64(n))
	for i := range j.shares {
		j.shares[i].next.Store(int64(i * n / threads))
		j.shares[i].end = int64((i + 1) * n / threads)
	}
	d.workers.start(j, threads-1)
	j.finish(j.work(0))
	if !spinUntil(func() bool { return j.left.Load() == 0 }) {
		<-j.done
	}
}

// job is a running task. Each of its threads has a share of the pieces, always the same one, so that successive
// operations find in its cache what it wrote there. A thread whose share is done takes pieces from the others'.
type job struct {
	task
	shares []share
	left   atomic.Int64 // unfinished pieces
	done   chan struct{}
}

// share is a run of pieces, of which those from next on have not been taken.
type share struct {
	next atomic.Int64
	end  int64
	_    [48]byte // the next share lies in another cache line
}

// work runs pieces, those of share first before all others, until all are taken. It returns how many, for finish.
func (j *job) work(first int) (ran int64) {
	for i := range j.shares {
		s := &j.shares[(first+i)%len(j.shares)]
		for from, to := s.take(); from < to; from, to = s.take() {
			j.run(int(from), int(to))
			ran += to - from
		}
	}
	return ran
}

func (j *job) finish(ran int64) {
	if ran > 0 && j.left.Add(-ran) == 0 {
		close(j.done)
	}
}

// take returns some of the share's pieces, fewer and fewer, so that all threads finish at about the same time.
func (s *share) take() (from, to int64) {
	for {
		from = s.next.Load()
		if from >= s.end {
			return 0, 0
		}
		to = from + max(1, (s.end-from)/4)
		if s.next.CompareAndSwap(from, to) {
			return from, to
		}
	}
}

// spinTimeout is how long a thread spins before it sleeps: waking it up takes longer than most operations.
const spinTimeout = 100 * time.Microsecond

// spinUntil reports whether a condition becomes true before spinTimeout.
func spinUntil(condition func() bool) bool {
	for start := time.Now(); !condition(); {
		if time.Since(start) > spinTimeout {
			return false
		}
	}
	return true
}

// workerPool is the goroutines that help a device's callers. Idle ones end after a while.
type workerPool struct {
	mu   sync.Mutex
	idle []*worker
}

// worker is one of the goroutines; next is its next assignment while it is idle.
type worker struct{ next atomic.Pointer[assignment] }

// assignment is work on a job that begins with a share.
type assignment struct {
	job   *job
	share int
}

// start assigns j to n workers and does not wait for them.
func (p *workerPool) start(j *job, n int) {
	p.mu.Lock()
	ready := min(n, len(p.idle))
	for i, w := range p.idle[:ready] {
		w.next.Store(&assignment{j, 1 + i})
	}
	p.idle = slices.Delete(p.idle, 0, ready)
	p.mu.Unlock()
	for i := ready; i < n; i++ {
		go p.run(&assignment{j, 1 + i})
	}
}

// run works on assignments. The worker is idle before the job is finished, since the next one may follow at once.
func (p *workerPool) run(a *assignment) {
	for w := new(worker); a != nil; a = p.next(w) {
		ran := a.job.work(a.share)
		p.mu.Lock()
		w.next.Store(nil)
		p.idle = append(p.idle, w)
		p.mu.Unlock()
		a.job.finish(ran)
	}
}

// next returns the next assignment of w, which is idle, or nil if there is none until spinTimeout; w is not idle then.
func (p *workerPool) next(w *worker) *assignment {
	if !spinUntil(func() bool { return w.next.Load() != nil }) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if i := slices.Index(p.idle, w); i >= 0 {
			p.idle = slices.Delete(p.idle, i, i+1)
		}
	}
	return w.next.Load()
}
