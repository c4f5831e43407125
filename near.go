package polyphon

import (
	"math"

	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/inference"
)

// nearMisses finds, in one sound, what would have been an event with a lower threshold, and overlaps none.
type nearMisses struct {
	detector *detect.Detector // nil: none are asked for
	active   int              // events that have not ended
	busy     float64          // when the latest event was active
	list     []detect.Event   // that have ended with the latest decision
}

// newNearMisses returns those from the probability p on, 0 standing for none.
func newNearMisses(labels []string, c detect.Config, p float64) (n nearMisses, err error) {
	n.busy = math.Inf(-1)
	if p > 0 {
		c.Threshold, c.Thresholds = p, nil
		n.detector, err = detect.New(labels, c)
	}
	return n, err
}

// push adds a decision, with which an event began or not, and so many ended.
func (n *nearMisses) push(d inference.Decision, began bool, ended int) {
	if n.detector == nil {
		return
	}
	if began {
		n.active++
	}
	if n.active > 0 {
		n.busy = d.End
	}
	n.active -= ended
	n.detector.Push(d.Start, d.End, d.Used, d.P)
	n.list = n.list[:0]
	for _, e := range n.detector.Ended() {
		if n.busy < e.Time-(d.End-d.Start) { // else its windows were those of an event, too
			n.list = append(n.list, e)
		}
	}
}

// flush ends the near misses that go on.
func (n *nearMisses) flush() {
	if n.list = n.list[:0]; n.detector == nil {
		return
	}
	n.detector.Flush()
	for _, e := range n.detector.Ended() {
		if n.busy < e.Time {
			n.list = append(n.list, e)
		}
	}
}

func (n *nearMisses) ended() []detect.Event { return n.list }

func (n *nearMisses) reset() {
	if n.detector != nil {
		n.detector.Reset()
	}
	n.active, n.busy, n.list = 0, math.Inf(-1), n.list[:0]
}
