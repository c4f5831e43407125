package device

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// task is an operation cut into pieces that may run in any order and at the same time. Where the cuts lie
// depends on the operation's shape and never on the number of threads: that makes results reproducible.
type task interface {
	run(first, last int) // pieces first up to last
}

// Work is counted in values that an operation touches. grain is what is worth another thread: a few microseconds,
// where handing over costs a fraction of one. A product does flopsPerValue operations in the same time.
const (
	grain         = 1 << 15
	flopsPerValue = 16
)

// spread runs the pieces of t on as many threads as its work is worth.
func spread[T task](d *cpu, pieces, work int, t T) {
	if threads := min(d.threads, pieces, 1+work/grain); threads > 1 {
		forkJoin(d, threads, pieces, t)
	} else {
		t.run(0, pieces)
	}
}

// forkJoin is apart from spread so that t stays off the heap there.
//
//go:noinline
func forkJoin[T task](d *cpu, threads, pieces int, t T) {
	j := newJob(t, threads, pieces)
	d.team.call(j, threads-1)
	j.finish(j.work(0))
	j.wait()
}

// job is a task while threads work on it. Each of them has a share of the pieces, always the same one, so that operations that
// follow each other find in its cache what it wrote there; when it is done, it takes from the others' shares.
type job struct {
	task
	shares []share
	left   atomic.Int64 // pieces that are not done
	done   chan struct{}
}

// share is a run of pieces, of which those from next on are for the taking.
type share struct {
	next atomic.Int64
	end  int64
	_    [48]byte // the next share lies in another cache line
}

func newJob(t task, threads, pieces int) *job {
	j := &job{task: t, shares: make([]share, threads), done: make(chan struct{})}
	j.left.Store(int64(pieces))
	for i := range j.shares {
		j.shares[i].next.Store(int64(i * pieces / threads))
		j.shares[i].end = int64((i + 1) * pieces / threads)
	}
	return j
}

// work runs pieces, those of share first before all others, until none is left to take. It returns how many it ran,
// which finish is to be told.
func (j *job) work(first int) (ran int64) {
	for i := range j.shares {
		s := &j.shares[(first+i)%len(j.shares)]
		for {
			from, to := s.take()
			if from == to {
				break
			}
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

// take returns some of the share's pieces: many at first, few in the end, when threads should be done at the same time.
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

// wait returns when all pieces are done.
func (j *job) wait() {
	if !soon(func() bool { return j.left.Load() == 0 }) {
		<-j.done
	}
}

// patience is how long a thread looks out for what comes next before it goes to sleep: waking it up takes
// longer than most operations.
const patience = 100 * time.Microsecond

// soon reports whether a condition comes true before patience runs out.
func soon(condition func() bool) bool {
	for start := time.Now(); !condition(); {
		if time.Since(start) > patience {
			return false
		}
	}
	return true
}

// team is the threads that help a device's callers. They come when there is work, and go when there is none for a while.
type team struct {
	mu      sync.Mutex
	waiting []*helper
}

// helper is one of the threads.
type helper struct{ next atomic.Pointer[call] }

// call asks a helper to work on a job, on this share first.
type call struct {
	job   *job
	share int
}

// call lets n threads help with j. It does not wait for them.
func (t *team) call(j *job, n int) {
	t.mu.Lock()
	ready := min(n, len(t.waiting))
	for i, h := range t.waiting[:ready] {
		h.next.Store(&call{j, 1 + i})
	}
	t.waiting = slices.Delete(t.waiting, 0, ready)
	t.mu.Unlock()
	for i := ready; i < n; i++ {
		go t.help(call{j, 1 + i})
	}
}

// help works on what c asks for and on what is asked soon after. The helper waits for that before the job is finished, since
// the next one may follow at once.
func (t *team) help(c call) {
	h := new(helper)
	for next := &c; next != nil; next = t.next(h) {
		ran := next.job.work(next.share)
		t.mu.Lock()
		h.next.Store(nil)
		t.waiting = append(t.waiting, h)
		t.mu.Unlock()
		next.job.finish(ran)
	}
}

// next returns what h, which waits, is asked to do, or nil when that is nothing; it waits no longer then.
func (t *team) next(h *helper) *call {
	if !soon(func() bool { return h.next.Load() != nil }) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if i := slices.Index(t.waiting, h); i >= 0 {
			t.waiting = slices.Delete(t.waiting, i, i+1)
		}
	}
	return h.next.Load()
}
