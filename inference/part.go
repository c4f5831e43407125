package inference

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
)

// Part is where a stream of a recording can be taken up, so that parts of it can be computed at the same time. Its
// numbers are those of the stream from the beginning, up to rounding. All fields are in samples.
type Part struct {
	Decided int // the end of the latest decision before it; 0: there was none
	From    int // what has to be pushed begins here
	Ahead   int // of sound after a decision's end that may have to be pushed for it, where the sound goes on
	frame   int // that From makes the first one to be computed; 0: the stream's beginning
	skip    int // frames that the framer makes before it
}

// Part returns the part of streams with options o, without a gate, whose decisions end after the given sample.
func (p *Plan) Part(o StreamOptions, sample int) Part {
	t := p.timing(o)
	f := t.features
	part := Part{Ahead: (t.row+t.ahead+t.step+1)*f.Hop + f.Window}
	if sample < t.first {
		return part
	}
	part.Decided = sample - (sample-t.first)%t.hop
	// The first row of the next decision, whose window ends a sample later or more.
	row := min(device.CeilDiv(max(0, part.Decided+1-t.window), t.rowSamples()), part.Decided/t.rowSamples())
	part.frame = max(0, row*t.row-t.back) / t.step * t.step
	before, _ := f.Margins()
	part.skip = min(device.CeilDiv(before, f.Hop), part.frame)
	part.From = (part.frame - part.skip) * f.Hop
	return part
}

// Begin takes up stream i, at its beginning and without a gate, at a part: Push gets the sound from Part.From on.
func (g *Group) Begin(i int, part Part) {
	s := g.visit(i)
	if s.gate != nil || s.pushed > 0 {
		panic(fmt.Sprintf("inference: part of a stream after %d samples", s.pushed))
	}
	s.decided = part.Decided
	if part.frame == 0 {
		return
	}
	s.pushed, s.ready, s.fed, s.skip = part.From, part.frame, part.frame, part.skip
	s.firstRow = part.frame / s.row
	s.sum.drop(device.CeilDiv(part.frame+s.back, s.row))
	g.history.restart(i, part.frame)
}
