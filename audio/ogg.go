package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The Ogg reader follows RFC 3533. Pages whose checksum is wrong are left out, so damage stays where it is.

const (
	oggHeaderSize = 27
	maxOggPacket  = 4 << 20 // bytes; what a packet has beyond them is left out
)

// Flags of a page.
const (
	oggContinued = 1 << iota // its first packet began on a page before
	oggFirst                 // of a logical stream
	oggLast
)

// oggKinds are what logical streams hold, by the beginning of their first packet.
var oggKinds = []struct {
	magic, name string
	read        bool
}{
	{vorbisMagic, "Vorbis", true},
	{opusMagic, "Opus", true},
	{oggFLACMagic, "FLAC", true},
	{"Speex   ", "Speex", false},
	{"\x80theora", "Theora video", false},
	{"BBCD", "Dirac video", false},
	{"fishead", "Skeleton", false},
	{"CMML", "CMML", false},
	{"\x80kate", "Kate subtitles", false},
}

// oggPacket is a packet of the logical stream that is read.
type oggPacket struct {
	data    []byte // valid until the next packet is read
	begins  bool   // it is the first one of its stream
	lost    int64  // bytes before it that are damaged or missing
	pages   int64  // pages before it that are missing
	granule int64  // the position at its end, -1 where its page does not say
	last    bool   // its page is the last one of its stream
}

// oggReader reads pages, and the packets of one logical stream at a time.
type oggReader struct {
	in       *rewinder
	page     []byte // header, lacing values and body
	lacing   []byte // of the packets of the page that are left
	body     []byte // theirs
	packet   []byte // what has been read of a packet
	lost     int64
	missing  int64
	serial   uint32
	sequence uint32 // of the last page
	chosen   bool   // there is a stream that is read, serial's
	begins   bool   // its first packet comes next
	data     bool   // pages other than first ones have come
	ended    bool   // the last page of the stream has come
	others   []string
	err      error // that has ended the pages
}

// nextPacket returns the next packet of the stream that is read, or of the one that follows it.
func (o *oggReader) nextPacket() (p oggPacket, err error) {
	for {
		if n, whole := o.take(); whole {
			granule := int64(-1)
			if !slices.ContainsFunc(o.lacing, func(n byte) bool { return n < 255 }) { // no other ends on the page
				granule = int64(binary.LittleEndian.Uint64(o.page[6:]))
			}
			p = oggPacket{
				data: o.packet[:n], begins: o.begins, lost: o.lost, pages: o.missing, granule: granule,
				last: o.page[5]&oggLast != 0,
			}
			o.packet, o.begins, o.lost, o.missing = o.packet[:0], false, 0, 0
			return p, nil
		}
		if err := o.nextPage(); err != nil {
			return p, err
		}
	}
}

// take moves bytes of the page to the packet, and reports whether that is whole.
func (o *oggReader) take() (n int, whole bool) {
	for len(o.lacing) > 0 {
		size := int(o.lacing[0])
		o.lacing = o.lacing[1:]
		if len(o.packet)+size <= maxOggPacket {
			o.packet = append(o.packet, o.body[:size]...)
		}
		o.body = o.body[size:]
		if size < 255 {
			return len(o.packet), true
		}
	}
	return 0, false
}

// nextPage reads the next page of the stream that is read, which it chooses if there is none.
func (o *oggReader) nextPage() error {
	for {
		if err := o.readPage(); err != nil {
			return err
		}
		flags, serial := o.page[5], binary.LittleEndian.Uint32(o.page[14:])
		if flags&oggFirst != 0 {
			if o.data { // another chain of streams
				o.chosen, o.data = false, false
			}
			o.consider(serial)
		} else {
			o.data = true
		}
		if !o.chosen && o.data {
			return errNoOggSound
		}
		if o.chosen && serial == o.serial {
			o.enter(flags)
			return nil
		}
	}
}

// consider chooses the stream that begins on the page, if it is the first that can be read.
func (o *oggReader) consider(serial uint32) {
	_, body := o.split()
	for _, k := range oggKinds {
		if !bytes.HasPrefix(body, []byte(k.magic)) {
			continue
		}
		if !k.read || o.chosen {
			o.leave(k.name)
		} else {
			o.chosen, o.begins, o.ended, o.serial = true, true, false, serial
			o.packet = o.packet[:0]
		}
		return
	}
	o.leave(fmt.Sprintf("%q", body[:min(len(body), 8)]))
}

// leave remembers what a stream holds that is not read.
func (o *oggReader) leave(name string) {
	const most = 4
	if len(o.others) < most && !slices.Contains(o.others, name) {
		o.others = append(o.others, name)
	}
}

// note returns what is to be said of other streams.
func (o *oggReader) note() string {
	if len(o.others) == 0 {
		return ""
	}
	return "only the first sound in the Ogg file is read, not " + strings.Join(o.others, " and ")
}

// enter begins to take packets from the page.
func (o *oggReader) enter(flags byte) {
	sequence := binary.LittleEndian.Uint32(o.page[18:])
	if gap := sequence - o.sequence - 1; gap != 0 && !o.begins {
		o.missing += int64(min(gap, 1<<16))
		o.packet = o.packet[:0]
	}
	o.sequence = sequence
	o.ended = flags&oggLast != 0
	o.lacing, o.body = o.split()
	switch continued := flags&oggContinued != 0; {
	case continued && len(o.packet) == 0: // the rest of a packet that was lost
		o.take()
		o.packet = o.packet[:0]
	case !continued:
		o.lost += int64(len(o.packet))
		o.packet = o.packet[:0]
	}
}

// split returns the lacing values and the body of the page.
func (o *oggReader) split() (lacing, body []byte) {
	n := oggHeaderSize + int(o.page[26])
	return o.page[oggHeaderSize:n], o.page[n:]
}

var (
	errOggPage    = errors.New("no Ogg page with a right checksum")
	errNoOggSound = errors.New("no sound begins in the Ogg streams")
)

// readPage reads the next page of any stream that is whole.
func (o *oggReader) readPage() error {
	for o.err == nil {
		o.in.mark()
		err := o.tryPage()
		switch {
		case err == nil:
			return nil
		case o.in.failure != nil:
			o.err = o.in.failure
		case err == io.EOF:
			o.err = io.EOF
		case !o.in.rewind():
			o.err = errOggPage
		}
		o.lost += o.in.skipTo(func(b []byte) bool { return string(b) == "Og" })
	}
	return o.err
}

// tryPage reads a page. It returns io.EOF at the end of the input only.
func (o *oggReader) tryPage() error {
	o.page = append(o.page[:0], make([]byte, oggHeaderSize)...)
	if _, err := io.ReadFull(o.in, o.page); err != nil {
		return err
	}
	if string(o.page[:4]) != "OggS" || o.page[4] != 0 {
		return errOggPage
	}
	lacing, err := o.more(int(o.page[26]))
	if err != nil {
		return err
	}
	size := 0
	for _, n := range lacing {
		size += int(n)
	}
	if _, err := o.more(size); err != nil {
		return err
	}
	crc := uint32(0)
	for i, b := range o.page {
		if i >= 22 && i < 26 {
			b = 0 // the checksum itself
		}
		crc = crc<<8 ^ oggCRC[byte(crc>>24)^b]
	}
	if crc != binary.LittleEndian.Uint32(o.page[22:]) {
		return errOggPage
	}
	return nil
}

// more appends n bytes of the input to the page and returns them.
func (o *oggReader) more(n int) ([]byte, error) {
	before := len(o.page)
	o.page = append(o.page, make([]byte, n)...)
	if _, err := io.ReadFull(o.in, o.page[before:]); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return o.page[before:], nil
}

// oggCRC is the table of the checksum, CRC-32 with polynomial 0x04C11DB7, highest bit first.
var oggCRC = func() (table [256]uint32) {
	for i := range table {
		crc := uint32(i) << 24
		for range 8 {
			crc = crc<<1 ^ crc>>31*0x04C11DB7
		}
		table[i] = crc
	}
	return table
}()

// openOgg reads up to the samples of the first sound in an Ogg file.
func (d *Decoder) openOgg() error {
	ogg := &oggReader{in: newRewinder(d.in)}
	p, err := ogg.nextPacket()
	switch {
	case err != nil && len(ogg.others) > 0 && !ogg.chosen && ogg.in.failure == nil:
		return refusal("Ogg with "+strings.Join(ogg.others, " and "), "ogg")
	case err == errOggPage || err == errNoOggSound:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	case err != nil:
		return cutShort(err, "its first Ogg page")
	}
	if bytes.HasPrefix(p.data, []byte(oggFLACMagic)) {
		return d.openOggFLAC(ogg, p.data)
	}
	b := &oggBlocks{ogg: ogg}
	if err := b.begin(p.data); err != nil {
		return err
	}
	return d.begin(b.format, b, "")
}
