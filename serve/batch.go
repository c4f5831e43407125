package serve

import (
	"sync"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
)

// batcher has sounds of several requests that are no longer than a window computed together.
type batcher struct {
	mu      sync.Mutex
	waiting []*clipJob
}

// clipJob is a sound that waits for its answer.
type clipJob struct {
	clip   audio.Clip
	result polyphon.Result
	done   chan struct{}
}

// maxJobs is how many sounds are computed together, at most, as by the command.
const maxJobs = 16

// classify returns the answer for a sound.
func (m *model) classify(clip audio.Clip) ([]polyphon.Score, error) { return m.wait(m.submit(clip)) }

// submit has a sound wait, for the goroutine that calls wait for it or for another one.
func (m *model) submit(clip audio.Clip) *clipJob {
	job := &clipJob{clip: clip, done: make(chan struct{})}
	m.clips.mu.Lock()
	defer m.clips.mu.Unlock()
	m.clips.waiting = append(m.clips.waiting, job)
	return job
}

// wait returns the answer for a sound. The goroutine that is the first to be allowed to compute does so for the others
// that wait.
func (m *model) wait(job *clipJob) ([]polyphon.Score, error) {
	for {
		select {
		case <-job.done:
			return job.result.Scores, job.result.Err
		case m.server.compute <- struct{}{}:
			m.computeJobs()
			<-m.server.compute
		}
	}
}

// computeJobs computes the sounds that have waited for the longest time.
func (m *model) computeJobs() {
	b := &m.clips
	b.mu.Lock()
	n := min(len(b.waiting), maxJobs)
	jobs := append([]*clipJob(nil), b.waiting[:n]...)
	b.waiting = append(b.waiting[:0], b.waiting[n:]...)
	clear(b.waiting[len(b.waiting):cap(b.waiting)])
	b.mu.Unlock()
	if n == 0 {
		return
	}
	begun := time.Now()
	clips := make([]audio.Clip, n)
	for i, job := range jobs {
		clips[i] = job.clip
	}
	for i, result := range m.recognizer.ClassifyBatch(clips) {
		jobs[i].result = result
		close(jobs[i].done)
	}
	m.server.metrics.computing.WithLabelValues(m.name).Add(time.Since(begun).Seconds())
}
