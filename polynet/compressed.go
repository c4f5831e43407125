package polynet

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"

	"github.com/polyphon/polyphon/internal/atomicfile"
)

// A model file may be compressed by gzip (RFC 1952): small models consist to a third of the names of their tensors.
const (
	compressedSuffix = ".gz"
	compressedStart  = "\x1f\x8b"
	maxUnpacked      = 8 << 20 // bytes of the model file in a compressed one: a few bytes can stand for any number
)

// unpacked reads what is in a compressed file, of which more than left bytes are an error.
type unpacked struct {
	*gzip.Reader
	left int
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if u.left -= n; u.left < 0 {
		return 0, fmt.Errorf("a compressed file may hold %d bytes, this one holds more", maxUnpacked)
	}
	return n, err
}

// unpack returns r, or a reader of what is in r where that is compressed.
func unpack(r *bufio.Reader) (*bufio.Reader, error) {
	if start, _ := r.Peek(len(compressedStart)); string(start) != compressedStart {
		return r, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("%w: a gzip file: %w", ErrModel, noEOF(err))
	}
	return bufio.NewReaderSize(&unpacked{z, maxUnpacked}, r.Size()), nil
}

// Save writes m to path, whole or not at all: a crash leaves what was there before. Where path ends in ".gz", the file
// is compressed, for which models of more than 8 MiB give an error that wraps ErrModel.
func (m *Model) Save(path string) error {
	if strings.HasSuffix(path, compressedSuffix) {
		return atomicfile.Write(path, m.writeCompressed)
	}
	return atomicfile.Write(path, m.Write)
}

func (m *Model) writeCompressed(w io.Writer) error {
	var file bytes.Buffer
	if err := m.Write(&file); err != nil {
		return err
	}
	if file.Len() > maxUnpacked {
		return fmt.Errorf("%w: %d bytes, at most %d can be compressed", ErrModel, file.Len(), maxUnpacked)
	}
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	z.Write(file.Bytes()) // errors stick to z and come with Close
	return z.Close()
}
