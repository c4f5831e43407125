package training

import (
	"context"
	"fmt"
	"math"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// liveTolerance is how many seconds before or after a word's window, at most, live sound may take for the word to be
// recognised.
const liveTolerance = 0.16

// positions finds at which windows of a stretch of sound a network answers as a detector of live sound goes by: that
// takes the greatest of a label's probabilities over all windows, one at each row of the last stage.
type positions struct {
	head       linearOp
	background []bool // by label: it is no event
	ahead      int    // frames of lookahead, without which a row is not what it is in live sound
	tolerance  int    // frames
}

// newPositions returns the positions of a network of these labels, whose mean over time must come right before dropout
// and the head, and whose features have so many frames a second.
func newPositions(n *Network, labels []string, framesPerSecond float64) (*positions, error) {
	steps := n.program.Steps
	last := len(steps) - 1
	mean := last - 1
	if mean >= 0 && steps[mean].Op == polynet.OpDropout {
		mean--
	}
	head, ok := n.ops[last].(linearOp)
	if !ok || mean < 0 || steps[mean].Op != polynet.OpMean {
		return nil, fmt.Errorf("%w: a loss of live sound is for networks that end in a mean over time and a linear head",
			ErrConfig)
	}
	l := &positions{
		head: head, ahead: n.program.Reach().After, tolerance: int(math.Round(liveTolerance * framesPerSecond)),
	}
	for _, label := range labels {
		l.background = append(l.background, detect.Background(label))
	}
	return l, nil
}

// stretches are the logits of the windows of a batch's clips.
type stretches struct {
	sums          []float64 // (clips, rows+1, classes): of the rows' logits, from the clip's first row to before each row
	rows, classes int
	first, n      int // the rows of the labels' windows
	highest       int // the last row at which a window begins that is what it is in live sound
}

// scan computes the logits of the windows of x, the rows before the mean. stride is the frames of a row.
func (l *positions) scan(p *Pass, x Activation, stride, frames int) *stretches {
	classes := l.head.Width
	logits := p.memory.plain(x.Groups, x.Rows, classes)
	w := p.pack()
	p.dev.Pack(w, l.head.values(p), l.head.In, classes)
	p.dev.MatMul(logits.View, x.View, w, device.Epilogue{Shift: l.head.bias.Value})
	values := make([]float32, x.Groups*x.Rows*classes)
	p.dev.Download(values, logits.Data.Slice(0, len(values)))

	first, end := p.pooled.rows(x.Rows, stride)
	s := &stretches{rows: x.Rows, classes: classes, first: first, n: end - first}
	s.sums = make([]float64, x.Groups*(x.Rows+1)*classes)
	for g := range x.Groups {
		sums := s.sums[g*(x.Rows+1)*classes:]
		for i, v := range values[g*x.Rows*classes : (g+1)*x.Rows*classes] {
			sums[classes+i] = sums[i] + float64(v)
		}
	}
	s.highest = max(min((frames-l.ahead)/stride, x.Rows)-s.n, first)
	return s
}

// probabilities writes to dst those of the window of a clip that begins at a row. They are 0 where logits are not
// finite.
func (s *stretches) probabilities(dst []float64, clip, row int) {
	at := (clip*(s.rows+1) + row) * s.classes
	for c := range dst {
		dst[c] = (s.sums[at+s.n*s.classes+c] - s.sums[at+c]) / float64(s.n)
	}
	if !polynet.Softmax(dst, 1) {
		clear(dst)
	}
}

// locate returns by how many rows the window of each of a batch's examples is to move. An example of a word moves to
// where the word is likeliest, within the tolerance; one of _unknown_ to where a word is likeliest, and so do, within
// the whole stretch, examples in all of which no word is said.
func (l *positions) locate(b *datasets.Batch) func(p *Pass, x Activation, stride int) []int {
	return func(p *Pass, x Activation, stride int) []int {
		s := l.scan(p, x, stride, b.Frames)
		tolerance := max(l.tolerance/stride, 1)
		shifts, probabilities := make([]int, b.B), make([]float64, s.classes)
		for i, item := range b.Items {
			low, high := max(s.first-tolerance, 0), min(s.first+tolerance, s.highest)
			if item.Negative || item.Silence {
				low, high = 0, s.highest
			}
			best := -1.0
			for row := low; row <= high; row++ {
				s.probabilities(probabilities, i, row)
				p := probabilities[b.Labels[i]]
				if l.background[b.Labels[i]] {
					_, p = l.likeliest(probabilities)
				}
				if p > best {
					best, shifts[i] = p, row-s.first
				}
			}
		}
		return shifts
	}
}

// likeliest returns the word of the greatest probability, and that.
func (l *positions) likeliest(probabilities []float64) (label int, p float64) {
	for c, v := range probabilities {
		if !l.background[c] && v > p {
			label, p = c, v
		}
	}
	return label, p
}

// hardP is the probability of a word from which on a place in negatives is hard.
const hardP = 0.1

// mine sets the hard places of the epochs from this one on, where it is time for that.
func (t *Trainer) mine(ctx context.Context, epoch int) error {
	if t.cfg.Mine == 0 || epoch == 1 || (epoch-1)%t.cfg.Mine != 0 {
		return nil
	}
	network := newEvaluator(t.kept(), t.norm)
	defer network.pass.Close()
	found, err := newPositions(network.net, t.labels, t.cfg.Features.FramesPerSecond())
	if err != nil {
		return err
	}
	probabilities := make([]float64, len(t.labels))
	hard, err := t.train.Mine(ctx, func(b *datasets.Batch) (hard []float64, frames []int, err error) {
		hard, frames = make([]float64, b.B), make([]int, b.B)
		network.run(b.X, b, func(p *Pass, x Activation, stride int) []int {
			s := found.scan(p, x, stride, b.Frames)
			for i := range b.B {
				for row := 0; row <= s.highest; row++ {
					s.probabilities(probabilities, i, row)
					if _, v := found.likeliest(probabilities); v-hardP > hard[i] {
						hard[i], frames[i] = v-hardP, row*stride
					}
				}
			}
			return nil
		})
		return hard, frames, nil
	})
	if err != nil {
		return err
	}
	t.hard = hard
	return t.train.SetHard(hard)
}
