package audio

import (
	"fmt"
	"math"
	"slices"
)

// screen checks decoded sound before it is mixed down, of every format in the same way. It puts right what is certain
// (a forgotten scale, absurd samples, channels that cancel each other) and describes the rest.
//
// Questions that concern the whole sound (plausibility_scale.go, plausibility_channels.go) hold back its beginning, at
// most maxHeld samples, until they are answered. Later sound passes at once, and samples of it are judged: answers do
// not depend on how the sound is cut into blocks.
type screen struct {
	format *Format
	frames int64 // that have passed
	found  []string

	holding  bool
	held     []float32 // interleaved, not yet passed
	learnt   int       // of held, in samples
	scale    scaleStats
	convert  func([]float32) // nil: samples are what they seem
	float    bool            // samples may be NaN, infinite or absurd
	odd      oddSamples
	pick     int       // the only channel that counts; mixed where negative
	energies []float64 // of the pieces that are held back, their mean squares

	probe probe
	level levelMeter
}

const (
	maxHeld     = 1 << 16 // samples that are held back at most
	pieceFrames = 2048    // that are judged together
)

// reset prepares s for a sound of the format, in the memory that it has. The samples of one that is fixed cannot be
// read out of step.
func (s *screen) reset(f *Format, fixed bool) {
	*s = screen{format: f, held: s.held[:0], energies: s.energies[:0], pick: -1, probe: s.probe}
	s.probe.reset(f, fixed)
	s.float = mayBeFloat(f)
	s.holding = s.float || f.Encoding == S32LE || f.Channels == 2
	s.level.window = max(f.Rate/10, 1)
}

// mayBeFloat reports whether the decoder of f delivers what a file calls floating-point samples.
func mayBeFloat(f *Format) bool {
	switch f.Encoding {
	case F32LE, F64LE, F32BE, F64BE:
		return true
	}
	return false
}

// process takes frames, interleaved, which it may change, and returns the mono samples that are certain.
func (s *screen) process(frames []float32) (mono []float32, err error) {
	if s.holding {
		s.held = append(s.held, frames...)
		for size := pieceFrames * s.format.Channels; s.holding && len(s.held)-s.learnt >= size; {
			s.learn(s.held[s.learnt:][:size])
			if s.holding = !s.settled(false); !s.holding {
				err = s.settle()
			}
		}
		if s.holding || err != nil {
			return nil, err
		}
		frames = s.held
	}
	return s.pass(frames), nil
}

// step returns how many bytes have to be left out before the next frame, or with which ones it begins, where bytes were
// out of step.
func (s *screen) step() (skip int, head []byte) {
	p := &s.probe
	skip, head = p.skip, p.head
	p.skip, p.head = 0, p.head[:0]
	return skip, head
}

// finish ends the sound and returns the samples that were held back.
func (s *screen) finish() (mono []float32, err error) {
	if !s.holding {
		return nil, nil
	}
	s.holding = false
	if s.learnt < len(s.held) {
		s.learn(s.held[s.learnt:])
	}
	s.settled(true)
	if err := s.settle(); err != nil {
		return nil, err
	}
	return s.pass(s.held), nil
}

// learn takes a piece into account.
func (s *screen) learn(samples []float32) {
	s.learnt += len(samples)
	s.energies = append(s.energies, s.scale.add(samples, s.format.Encoding))
}

// settled reports whether all questions about the beginning can be answered.
func (s *screen) settled(ended bool) bool {
	switch {
	case ended, len(s.held) >= maxHeld:
		s.scale.all = ended
		return true
	case s.float && !s.scale.certainFloat(s.format), s.format.Encoding == S32LE && s.scale.mayBe24In32():
		return false
	}
	loud := 0
	for _, energy := range s.energies {
		if energy > loudEnough {
			loud++
		}
	}
	return s.format.Channels != 2 || loud >= 2
}

// settle answers the questions about the beginning.
func (s *screen) settle() error {
	if err := s.settleScale(); err != nil {
		return err
	}
	if s.format.Channels == 2 {
		s.settleChannels()
	}
	return nil
}

// pass converts frames, judges samples of them, and mixes them down.
func (s *screen) pass(frames []float32) (mono []float32) {
	channels := s.format.Channels
	if s.convert != nil {
		s.convert(frames)
	}
	if s.float {
		s.odd.remove(frames, s.frames*int64(channels))
	}
	all, mixed := frames, 0
	for len(frames) > 0 {
		n := min(s.probe.wanted(s.frames)*channels, len(frames))
		pick := s.pick // what is judged now concerns later frames
		shift := s.judge(frames[:n])
		if channels == 1 {
			mixed += n
		} else {
			mixed += copy(all[mixed:], mix(frames[:n], channels, pick))
		}
		if frames = frames[n:]; shift > 0 {
			frames = s.probe.restep(frames, s.format.Encoding, shift)
		}
	}
	s.level.add(all[:mixed])
	return all[:mixed]
}

// mix returns the mono samples of frames, in place: those of the channel pick, or where that is negative the mean.
func mix(frames []float32, channels, pick int) []float32 {
	if pick < 0 {
		return mixDown(frames, channels)
	}
	n := len(frames) / channels
	for i := range n {
		frames[i] = frames[i*channels+pick]
	}
	return frames[:n]
}

// report adds a problem.
func (s *screen) report(format string, values ...any) {
	if problem := fmt.Sprintf(format, values...); !slices.Contains(s.found, problem) {
		s.found = append(s.found, problem)
	}
}

// seconds returns the time of a frame.
func (s *screen) seconds(frame int64) float64 { return float64(frame) / float64(s.format.Rate) }

// warnings returns what was found, complete where ended.
func (s *screen) warnings(ended bool) []string {
	all := slices.Clip(s.found)
	if !ended {
		return all
	}
	if w := s.odd.warning(s.format); w != "" {
		all = append(all, w)
	}
	if w := s.level.warning(s.format); w != "" {
		all = append(all, w)
	}
	return all
}

// oddSamples are samples that no sound has.
type oddSamples struct {
	notNumbers, absurd int64 // NaN or infinite; far beyond full scale
	first              int64 // index of the first one, of all channels
}

// maxSample is the largest magnitude of samples after conversion that is taken for one: 24 dB above full scale.
const maxSample = 16

// remove replaces odd samples by 0. The first sample has the index at.
func (o *oddSamples) remove(samples []float32, at int64) {
	for i, v := range samples {
		if v >= -maxSample && v <= maxSample {
			continue
		}
		if samples[i] = 0; o.notNumbers+o.absurd == 0 {
			o.first = at + int64(i)
		}
		if v-v != 0 {
			o.notNumbers++
		} else {
			o.absurd++
		}
	}
}

func (o *oddSamples) warning(f *Format) string {
	n, what := o.notNumbers+o.absurd, "NaN, infinite or far beyond full scale"
	switch {
	case n == 0:
		return ""
	case o.absurd == 0:
		what = "NaN or infinite"
	case o.notNumbers == 0:
		what = "far beyond full scale"
	}
	at := float64(o.first/int64(f.Channels)) / float64(f.Rate)
	if n == 1 {
		return fmt.Sprintf("1 sample is %s, at %.3f s: read as 0", what, at)
	}
	return fmt.Sprintf("%d samples are %s, the first at %.3f s: read as 0", n, what, at)
}

// levelMeter finds out whether a sound is very quiet: its loudest 100 ms, because what is around may be silent on
// purpose. It measures until it knows that the sound is not.
type levelMeter struct {
	window  int // samples of 100 ms
	count   int
	sum     float64 // of squares of the current window
	loudest float64 // mean square
	windows int
	enough  bool
}

// quiet is the level, in dB below full scale, below which sound is called very quiet.
const quiet = -45.0

func (l *levelMeter) add(samples []float32) {
	for !l.enough && len(samples) > 0 {
		n := min(l.window-l.count, len(samples))
		l.sum += MeanSquare(samples[:n]) * float64(n)
		samples = samples[n:]
		if l.count += n; l.count == l.window {
			l.loudest = max(l.loudest, l.sum/float64(l.window))
			l.count, l.sum = 0, 0
			l.windows++
			l.enough = l.loudest >= math.Pow(10, quiet/10)
		}
	}
}

// warning describes a level that is very low. A sound that is no louder than its last bit
// is silent on purpose.
func (l *levelMeter) warning(f *Format) string {
	least := 0.0
	if !mayBeFloat(f) && f.Bits > 0 {
		least = math.Ldexp(1, 2-2*f.Bits)
	}
	if l.enough || l.windows == 0 || l.loudest <= least {
		return ""
	}
	return fmt.Sprintf("very quiet, the loudest 100 ms are at %.0f dBFS: raise the recording level, "+
		"or amplify the file (sox in.wav out.wav gain -n -3)", 10*math.Log10(l.loudest))
}
