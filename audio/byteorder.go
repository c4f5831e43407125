package audio

import "io"

// settleOrder has 16-bit samples read in the other byte order than the header says, and 8-bit samples with the other
// sign, where the next bytes, of claimed ones, are softer and smoother that way. (Samples that need one byte only are
// as smooth in both.) Of 11,421 recordings of Speech Commands and ESC-10, none is taken for what it is not, more than
// 99 % are recognised, and 0.3 % of those that lack a byte are taken for swapped.
func (w *wavReader) settleOrder(claimed int64) {
	const (
		probes = 40
		votes  = 3
		times  = 5 // as many for the other order as for the stated one
	)
	stated := w.format.Encoding
	other, note := otherOrder(stated), "the bytes of samples are swapped"
	switch stated {
	case U8:
		other, note = S8, "the samples are signed"
	case S8:
		other, note = U8, "the samples are unsigned"
	case S16LE, S16BE:
	default:
		return
	}
	data, _ := w.r.Peek(readAhead)
	if claimed >= 0 && claimed < int64(len(data)) {
		data = data[:claimed]
	}
	frame := w.format.Channels * stated.Bytes()
	size := probeFrames * frame
	step := max(len(data)/probes/frame*frame, size)
	swapped, right, late := 0, 0, 0
	samples := make([]float32, size/stated.Bytes())
	measure := func(e Encoding, data []byte) (level, next float64) {
		encodings[e].decode(samples, data)
		return smooth(samples, w.format.Channels)
	}
	for at := 0; at+size+1 <= len(data) && right < votes; at += step {
		level, next := measure(stated, data[at:][:size])
		otherLevel, otherNext := measure(other, data[at:][:size])
		switch {
		case smoother(otherLevel, otherNext, level, next):
			swapped++
			bent := bending(samples, w.format.Channels)
			measure(stated, data[at+1:][:size]) // samples that are a byte late look much the same
			if bending(samples, w.format.Channels) < bent {
				late++
			}
		case smoother(level, next, otherLevel, otherNext):
			right++
		}
	}
	if swapped >= votes+times*right && 2*late < swapped {
		w.format.Encoding = other
		w.addNote(note + ": read as " + other.String())
	}
}

// bending returns the energy of the samples' second differences, in which errors of a low byte are large.
func bending(samples []float32, channels int) (energy float64) {
	for i := 2 * channels; i < len(samples); i++ {
		d := float64(samples[i]) - 2*float64(samples[i-channels]) + float64(samples[i-2*channels])
		energy += d * d
	}
	return energy
}

// smoother reports whether samples of a level and correlation are much softer and smoother than others.
func smoother(level, next, otherLevel, otherNext float64) bool {
	return next > 0.5 && (otherNext < next-0.3 && otherLevel > 1.3*level || otherNext < next && otherLevel > 4*level)
}

// addNote adds to what is odd about the header.
func (w *wavReader) addNote(note string) { w.note = joinNotes(w.note, []string{note}) }

// isFile reports whether more bytes of r can be looked at without waiting for them.
func isFile(r io.Reader) bool {
	s, ok := r.(io.Seeker)
	if !ok {
		return false
	}
	_, err := s.Seek(0, io.SeekCurrent)
	return err == nil
}
