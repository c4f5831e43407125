package audio

import "math"

// probe judges samples of a sound that passes: a few frames now and then, and more where these are suspicious, so that
// it costs little.
type probe struct {
	channels int
	bytes    int // of a PCM sample that may be read out of step; 0: samples cannot be
	samples  []float32
	data     []byte    // of the captured samples
	other    []float32 // these, read from another byte on
	next     int64     // frame at which the capture begins
	size     int       // frames to capture

	cancelled int // whole pieces in a row in which the channels cancel each other
	delay     int // between the channels of the latest whole piece, in frames

	votes   int    // probes in a row that reading them shift bytes later makes smooth
	shift   int    // bytes
	suspect int64  // frame of the first of these
	skip    int    // bytes to leave out
	head    []byte // of the next frame
}

const (
	probeFrames = 64
	probePeriod = 1024 // frames from one probe to the next
	minVotes    = 3
)

// reset prepares p for a sound of the format, in the memory that it has.
func (p *probe) reset(f *Format, fixed bool) {
	*p = probe{
		channels: f.Channels, samples: p.samples[:0], data: p.data, other: p.other, head: p.head[:0], size: probeFrames,
	}
	if !fixed && (f.Encoding == S16LE || f.Encoding == S24LE) {
		p.bytes = f.Encoding.Bytes()
	}
}

// idle reports whether there is nothing to judge.
func (p *probe) idle() bool { return p.channels != 2 && p.bytes == 0 }

// wanted returns how many frames from the given one on are all in the capture, or all not.
func (p *probe) wanted(frame int64) int {
	switch {
	case p.idle():
		return math.MaxInt32 / MaxChannels
	case frame < p.next:
		return int(min(p.next-frame, math.MaxInt32/MaxChannels))
	}
	return p.size - len(p.samples)/p.channels
}

// judge takes the next frames, as many as wanted says. It returns by how many bytes what follows should be read later,
// 0 where it is in step.
func (s *screen) judge(frames []float32) (shift int) {
	p := &s.probe
	at := s.frames
	s.frames += int64(len(frames) / p.channels)
	if at < p.next || p.idle() {
		return 0
	}
	if p.samples = append(p.samples, frames...); len(p.samples) < p.size*p.channels {
		return 0
	}
	size := 0 // of a probe that follows at once
	if p.channels == 2 && s.pick < 0 {
		size = s.judgeChannels()
	}
	if p.bytes > 0 {
		var votes bool
		if votes, shift = s.judgeStep(); votes {
			size = max(size, probeFrames)
		}
	}
	p.samples = p.samples[:0]
	if p.size, p.next = size, s.frames; size == 0 {
		p.size, p.next = probeFrames, (s.frames+probePeriod-1)/probePeriod*probePeriod
		if index := p.next / pieceFrames; p.channels == 2 && p.next%pieceFrames == 0 && index&(index-1) == 0 {
			p.size = pieceFrames
		}
	}
	return shift
}

// judgeChannels looks for channels that cancel each other or are copies, and returns the frames of another probe that
// is needed at once.
func (s *screen) judgeChannels() (again int) {
	p := &s.probe
	if MeanSquare(p.samples) < loudEnough {
		return 0
	}
	if silenced(p.samples) {
		if p.size == pieceFrames {
			p.cancelled++
		}
		if p.cancelled == 2 {
			s.pickLouder(p.samples, p.next)
			return 0
		}
		return pieceFrames
	}
	p.cancelled = 0
	if p.size == pieceFrames {
		delay := delayOf(p.samples, s.format.Rate)
		if agree(delay, p.delay) {
			s.pickDelayed(p.samples, delay, p.next)
		}
		p.delay = delay
	}
	return 0
}

// judgeStep looks for PCM that is read from the wrong byte on: it is loud and not smooth, and would be soft and smooth
// from another byte on. It reports whether this seems so, and the shift in bytes once that is certain.
func (s *screen) judgeStep() (seems bool, shift int) {
	p := &s.probe
	if shift = p.shiftOf(s.format.Encoding); shift == 0 || shift != p.shift {
		p.votes, p.shift, p.suspect = 0, shift, p.next
	}
	if shift == 0 {
		return false, 0
	}
	if p.votes++; p.votes < minVotes {
		return true, 0
	}
	s.report("sample bytes are shifted by %d from about %.1f s on, as when bytes are inserted or lost: "+
		"read in step again from %.1f s on", shift, s.seconds(p.suspect), s.seconds(s.frames))
	p.votes, p.shift = 0, 0
	return false, shift
}

// shiftOf returns by how many bytes later the captured samples, if loud, have to be read to be much softer and
// smoother; 0 where none is.
func (p *probe) shiftOf(e Encoding) int {
	level, next := smooth(p.samples, p.channels)
	if level < 0.2 || next > 0.9 {
		return 0
	}
	size := e.Bytes()
	if !p.lowBytesFollow(size) {
		return 0
	}
	var lowest, highest [256]bool
	p.encode(p.samples, size)
	for i := 0; i < len(p.data); i += size {
		lowest[p.data[i]], highest[p.data[i+size-1]] = true, true
	}
	if count(lowest) < 2 || count(highest) < 8 {
		return 0 // coarse or clipped samples, whose lowest byte says nothing
	}
	for shift := 1; shift < size*p.channels; shift++ {
		if shift%size == 0 {
			continue // another channel
		}
		p.other = append(p.other[:0], p.samples[p.channels:]...)
		encodings[e].decode(p.other, p.data[shift:])
		if l, n := smooth(p.other, p.channels); n > 0.5 && (l < 0.1*level || n > next+0.2 && l < 0.5*level) {
			return shift
		}
	}
	return 0
}

// encode sets data to the bytes of samples.
func (p *probe) encode(samples []float32, size int) {
	p.data = p.data[:0]
	for _, v := range samples {
		n := int32(v * float32(int32(1)<<(8*size-1)))
		for k := range size {
			p.data = append(p.data, byte(n>>(8*k)))
		}
	}
}

// restep decodes frames that were read out of step from some bytes later on, in place. head gets the bytes of the last
// frame, which is not complete; where there are too few, skip says how many of the next ones do not count.
func (p *probe) restep(frames []float32, e Encoding, shift int) []float32 {
	p.encode(frames, e.Bytes())
	data := append(p.data, p.head...)
	p.skip, p.head = max(shift-len(data), 0), p.head[:0]
	data = data[min(shift, len(data)):]
	samples := len(data) / (e.Bytes() * p.channels) * p.channels
	encodings[e].decode(frames[:samples], data)
	p.head = append(p.head, data[samples*e.Bytes():]...)
	return frames[:samples]
}

// lowBytesFollow reports whether a byte below the highest one mostly changes little from sample to sample, as the
// highest ones of sound do.
func (p *probe) lowBytesFollow(size int) bool {
	scale, pairs := float32(int32(1)<<(8*size-1)), len(p.samples)-p.channels
	for k := range size - 1 {
		near := 0
		for i, v := range p.samples[p.channels:] {
			a, b := int8(int32(v*scale)>>(8*k)), int8(int32(p.samples[i]*scale)>>(8*k))
			if d := int(a) - int(b); d >= -16 && d <= 16 {
				near++
			}
		}
		if 2*near > pairs {
			return true
		}
	}
	return false
}

func count(present [256]bool) (n int) {
	for _, p := range present {
		if p {
			n++
		}
	}
	return n
}

// smooth returns the level of the first channel and the correlation of its samples with the next ones, both without
// its mean.
func smooth(samples []float32, channels int) (level, next float64) {
	n := float64(len(samples) / channels)
	var sum, squares, products, before float64
	for i := 0; i < len(samples); i += channels {
		v := float64(samples[i])
		sum += v
		squares += v * v
		products += v * before
		before = v
	}
	if squares -= sum * sum / n; squares <= 0 { // those of the differences from the mean
		return 0, 0
	}
	return math.Sqrt(squares / n), (products - sum*sum/n) / squares
}
