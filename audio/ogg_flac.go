package audio

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

const oggFLACMagic = "\x7fFLAC"

// oggFLAC turns FLAC in Ogg (RFC 9639, 10.1) into a FLAC stream: its packets are "fLaC" with STREAMINFO, after 9 bytes
// about Ogg, metadata blocks, and frames.
type oggFLAC struct {
	ogg  *oggReader
	rest []byte
}

// openOggFLAC reads up to the samples of FLAC in Ogg, after its first packet.
func (d *Decoder) openOggFLAC(ogg *oggReader, packet []byte) error {
	f := &oggFLAC{ogg: ogg}
	if !f.begin(packet) {
		return fmt.Errorf("%w: FLAC in Ogg without STREAMINFO", ErrCorrupt)
	}
	return d.openFLAC(bufio.NewReader(f), "ogg", ogg.note())
}

// begin takes the first packet of a stream, and reports whether it is one.
func (f *oggFLAC) begin(packet []byte) bool {
	const before, size = 9, 8 + streamInfoSize
	if len(packet) < before+size || !bytes.HasPrefix(packet, []byte(oggFLACMagic)) {
		return false
	}
	f.rest = bytes.Clone(packet[before : before+size])
	f.rest[4] |= 0x80 // the last metadata block: others are left out
	return true
}

// Read implements io.Reader with the FLAC stream. Zeros stand for what is missing.
func (f *oggFLAC) Read(dst []byte) (int, error) {
	for len(f.rest) == 0 {
		p, err := f.ogg.nextPacket()
		switch {
		case err != nil && f.ogg.in.failure != nil:
			return 0, err
		case err != nil, p.begins && !f.begin(p.data):
			return 0, io.EOF
		case !p.begins && len(p.data) > 0 && p.data[0] == 0xFF: // a frame, not metadata
			const average = 4096 // bytes of a page
			f.rest = append(make([]byte, min(p.lost+p.pages*average, 1<<16)), p.data...)
		}
	}
	n := copy(dst, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}
