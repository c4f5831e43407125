package audio

import (
	"bufio"
	"errors"
	"io"
)

const (
	maxRewind = 4 << 20 // bytes that can be read again: more than a frame of 8 channels takes that is not compressed

	// What may be a frame and turns out to be none is paid from a credit, so that the time and the memory that any
	// input takes grow with its length only.
	initialCredit = 4 << 20 // bytes
	creditPerByte = 8       // of the input
)

var errNoFrame = errors.New("no frame ends here")

// rewinder is a Reader for decoders that have to try where the next frame of a damaged stream begins. It keeps what has
// been read since a mark.
type rewinder struct {
	in      *bufio.Reader
	kept    []byte // since the mark
	at      int    // of these, how many have been read
	credit  int
	cost    int   // of what has been tried since the mark
	failure error // of the input, other than io.EOF
}

func newRewinder(in *bufio.Reader) *rewinder { return &rewinder{in: in, credit: initialCredit} }

// Read implements io.Reader. It returns errNoFrame when too much has been read since the mark.
func (r *rewinder) Read(b []byte) (n int, err error) {
	if r.at == len(r.kept) {
		if len(r.kept) > maxRewind {
			return 0, errNoFrame
		}
		n, err = r.in.Read(b)
		r.kept = append(r.kept, b[:n]...)
		r.credit += n * creditPerByte
		if err != nil && err != io.EOF {
			r.failure = err
		}
	} else {
		n = copy(b, r.kept[r.at:])
	}
	r.at += n
	return n, err
}

// mark sets the mark to what is read next.
func (r *rewinder) mark() {
	if r.at == len(r.kept) {
		r.kept = r.kept[:0]
	} else {
		r.kept = r.kept[r.at:]
	}
	r.at, r.cost = 0, 0
}

// charge adds to the cost of what has been tried since the mark.
func (r *rewinder) charge(bytes int) { r.cost += bytes }

// rewind goes back to the mark, unless the credit does not allow it.
func (r *rewinder) rewind() bool {
	r.credit -= r.cost + r.at
	r.at, r.cost = 0, 0
	return r.credit >= 0
}

// peek returns the next n bytes without reading them, fewer at the end of the input.
func (r *rewinder) peek(n int) []byte {
	before := r.at
	io.CopyN(io.Discard, r, int64(n))
	peeked := r.kept[before:r.at]
	r.at = before
	return peeked
}

// discard reads n bytes that peek has returned. These stay valid until the next mark.
func (r *rewinder) discard(n int) { r.at += n }

// skipTo skips at least one byte, up to the next two that begin a frame or to the end, and returns how many.
func (r *rewinder) skipTo(begins func(b []byte) bool) (skipped int64) {
	var two [2]byte
	for {
		r.mark()
		n, err := io.ReadFull(r, two[:])
		if err != nil {
			r.mark()
			return skipped + int64(n)
		}
		if skipped > 0 && begins(two[:]) {
			r.at -= 2
			return skipped
		}
		r.at--
		skipped++
	}
}
