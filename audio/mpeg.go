package audio

import "encoding/binary"

// mpegHeader is the header of a frame of MPEG audio (ISO 11172-3, 2.4.1.3; ISO 13818-3; MPEG-2.5 is Fraunhofer's).
type mpegHeader uint32

// mpegHeaderAt returns the header at the beginning of b, and whether it is one.
func mpegHeaderAt(b []byte) (mpegHeader, bool) {
	if len(b) < 4 {
		return 0, false
	}
	h := mpegHeader(binary.BigEndian.Uint32(b))
	const sync = 0xFFE00000
	return h, h&sync == sync && h.version() != 1 && h.layer() != 0 && h>>12&15 != 15 && h>>10&3 != 3 && h&3 != 2
}

// version is 3 for MPEG-1, 2 for MPEG-2, 0 for MPEG-2.5; 1 is no version.
func (h mpegHeader) version() int { return int(h >> 19 & 3) }

// low reports whether the rates are the low ones of MPEG-2.
func (h mpegHeader) low() bool { return h.version() != 3 }

// layer is 3, 2 or 1, 0 for AAC.
func (h mpegHeader) layer() int { return [...]int{0, 3, 2, 1}[h>>17&3] }

func (h mpegHeader) rate() int {
	rate := [...]int{44100, 48000, 32000}[h>>10&3]
	return rate >> [...]int{2, 0, 1, 0}[h.version()]
}

func (h mpegHeader) channels() int {
	if h>>6&3 == 3 {
		return 1
	}
	return 2
}

// mp3Kilobits are the bit rates of layer III, for MPEG-1 and for low rates.
var mp3Kilobits = [2][15]int{
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
}

// samples returns how many samples of a channel a frame of layer III has.
func (h mpegHeader) samples() int {
	if h.low() {
		return 576
	}
	return 1152
}

// size returns the bytes of a frame of layer III; 0 where the header does not say (free format).
func (h mpegHeader) size() int {
	low := 0
	if h.low() {
		low = 1
	}
	kilobits := mp3Kilobits[low][h>>12&15]
	if kilobits == 0 {
		return 0
	}
	return h.samples()/8*1000*kilobits/h.rate() + int(h>>9&1)
}

// sideInfo returns where the side information of a frame of layer III begins and ends.
func (h mpegHeader) sideInfo() (from, to int) {
	from = 4
	if h>>16&1 == 0 { // a checksum
		from = 6
	}
	switch {
	case h.low() && h.channels() == 1:
		return from, from + 9
	case h.low() == (h.channels() == 2):
		return from, from + 17
	}
	return from, from + 32
}

// fits reports whether h may be in the same stream as first: only what belongs to the frame is different.
func (h mpegHeader) fits(first mpegHeader) bool {
	const same = 0xFFFE0C00
	return h&same == first&same
}

// isMPEG reports whether b begins with so many frames of layer III, one after the other.
func isMPEG(b []byte, frames int) bool {
	first, _ := mpegHeaderAt(b)
	for range frames {
		h, ok := mpegHeaderAt(b)
		if !ok || h.layer() != 3 || !h.fits(first) || h.size() == 0 {
			return false
		}
		b = b[min(h.size(), len(b)):]
	}
	return true
}

// holdsMPEG reports whether frames of layer III, one after the other, begin somewhere in b: a stream that is recorded
// begins anywhere.
func holdsMPEG(b []byte) bool {
	for i := range b {
		if b[i] == 0xFF && isMPEG(b[i:], 3) {
			return true
		}
	}
	return false
}

var errADTS = refusal("this is an AAC stream (ADTS)", "aac")

// isADTS reports whether b begins with so many frames of AAC, one after the other (ISO 13818-7, 6.2).
func isADTS(b []byte, frames int) bool {
	for range frames {
		if len(b) < 6 || b[0] != 0xFF || b[1]&0xF6 != 0xF0 || b[2]>>2&15 > 12 {
			return false
		}
		size := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
		b = b[min(max(size, 7), len(b)):]
	}
	return true
}
