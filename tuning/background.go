package tuning

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/polyphon/polyphon/audio"
)

// background is a sound file whose samples stay in it.
type background struct {
	path    string
	samples int     // at Material.Rate
	power   float64 // mean square
}

// measure reads a file through. It returns false where the file has no sound, which is noted.
func (m *Material) measure(path string) (b background, ok bool) {
	b.path = path
	f, err := m.open(path)
	if err == nil {
		defer f.Close()
		block := make([]float32, 1<<13)
		for err == nil {
			var n int
			n, err = f.Read(block)
			b.power += audio.MeanSquare(block[:n]) * float64(n)
			b.samples += n
		}
		if err == io.EOF {
			err = nil
		}
		if err == nil && b.samples == 0 {
			err = audio.ErrEmpty
		}
		b.power /= float64(max(b.samples, 1))
	}
	if _, named := errors.AsType[*os.PathError](err); err != nil && !named {
		err = fmt.Errorf("%s: %w", path, err)
	}
	warning := ""
	if err == nil {
		warning = f.decoder.Warning()
	}
	m.note(path, err, warning)
	return b, err == nil
}

// beginning returns at most n samples of a background, its first ones.
func (m *Material) beginning(b background, n int) ([]float32, error) {
	f, err := m.open(b.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	samples := make([]float32, min(n, b.samples))
	if n, err = audio.ReadFull(f, samples); err == io.EOF && n > 0 {
		err = nil
	}
	return samples[:n], err
}

// openFile is a file's sound at Material.Rate.
type openFile struct {
	audio.Source
	io.Closer
	decoder *audio.Decoder
}

// Close closes the file and its decoder.
func (f *openFile) Close() error { return errors.Join(f.decoder.Close(), f.Closer.Close()) }

func (m *Material) open(path string) (*openFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	d, err := audio.Decode(f)
	if err == nil {
		var s audio.Source
		if s, err = audio.Resample(d, m.Rate); err == nil {
			return &openFile{s, f, d}, nil
		}
		err = errors.Join(err, d.Close())
	}
	return nil, errors.Join(err, f.Close())
}

// chain is the sound of files, one after the other, read as it is asked for.
type chain struct {
	m       *Material
	files   []background // that are to be read
	samples int          // of all, or fewer
	read    int          // of these
	open    *openFile
}

const chainSeconds = 300 // at least: several chains are processed at once, and few begin anew

// chains divides files into chains, so many samples of them at most.
func (m *Material) chains(files []background, samples int) (list []*chain) {
	for len(files) > 0 && samples > 0 {
		c := &chain{m: m}
		for len(files) > 0 && c.samples < min(chainSeconds*m.Rate, samples) {
			c.files, c.samples, files = append(c.files, files[0]), c.samples+files[0].samples, files[1:]
		}
		c.samples = min(c.samples, samples)
		samples -= c.samples
		list = append(list, c)
	}
	return list
}

func (c *chain) Rate() int { return c.m.Rate }

func (c *chain) Read(dst []float32) (n int, err error) {
	for n == 0 && len(dst) > 0 {
		if c.read == c.samples || c.open == nil && len(c.files) == 0 {
			return 0, io.EOF
		}
		if c.open == nil {
			if c.open, err = c.m.open(c.files[0].path); err != nil {
				return 0, err
			}
			c.files = c.files[1:]
		}
		n, err = c.open.Read(dst[:min(len(dst), c.samples-c.read)])
		c.read += n
		if err == io.EOF {
			err = c.Close()
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Close closes the file that is being read.
func (c *chain) Close() (err error) {
	if c.open != nil {
		err, c.open = c.open.Close(), nil
	}
	return err
}
