package audio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
)

// Fallback turns sound that Decode does not read into WAV. It has the path of a file, or "" and what r delivers. Its
// Reader ends with io.EOF; Close stops the work. Where the Reader has a method Warning() string, that says after the
// end what was odd.
type Fallback func(path string, r io.Reader) (io.ReadCloser, error)

type registered struct {
	convert    Fallback
	extensions []string
}

var fallback atomic.Pointer[registered]

// RegisterFallback has every Decoder turn to f with sounds that it would refuse, and IsAudio accept the extensions
// (with their dots, in lower case), too. Programs call it when they start; nil takes it back.
func RegisterFallback(f Fallback, extensions ...string) {
	if f == nil {
		fallback.Store(nil)
		return
	}
	fallback.Store(&registered{f, extensions})
}

// Extensions returns the extensions of files that Decode reads, with their dots, in lower case.
func Extensions() []string {
	own := []string{".wav", ".wave", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".afc"}
	if f := fallback.Load(); f != nil {
		own = slices.Concat(own, f.extensions)
	}
	return own
}

// otherExtensions are those of other files with sound, which an installed ffmpeg decodes.
var otherExtensions = []string{
	".3g2", ".3gp", ".aac", ".ac3", ".aa3", ".amr", ".ape", ".asf", ".au", ".avi", ".caf", ".dff", ".dsf", ".dts",
	".eac3", ".flv", ".gsm", ".m4a", ".m4b", ".m4v", ".mka", ".mkv", ".mov", ".mp2", ".mp4", ".mpc", ".mpg", ".oma",
	".ra", ".rm", ".snd", ".sph", ".spx", ".tak", ".tta", ".voc", ".w64", ".webm", ".wma", ".wmv", ".wv",
}

// OtherExtensions returns the extensions of files with sound, with their dots, in lower case, that Decode does not read
// by itself and that a fallback may.
func OtherExtensions() []string { return slices.Clone(otherExtensions) }

// Unread reports whether name has one of the OtherExtensions, in any case, and no fallback takes it.
func Unread(name string) bool {
	return slices.Contains(otherExtensions, strings.ToLower(filepath.Ext(name))) && !IsAudio(name)
}

// Close stops what decodes the sound outside of the program, where something does.
func (d *Decoder) Close() error {
	if d.outside == nil {
		return nil
	}
	return d.outside.Close()
}

// maxReplay is how many bytes of a stream are kept for a fallback, until it is known whether Decode reads it: a tag in
// front of the sound may have pictures.
const maxReplay = 8 << 20

// replay reads from r and keeps what it has read, until it is stopped.
type replay struct {
	r       io.Reader
	kept    []byte
	over    bool // not all has been kept
	stopped bool
}

func (p *replay) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if p.over = p.over || len(p.kept)+n > maxReplay && !p.stopped; !p.over && !p.stopped {
		p.kept = append(p.kept, b[:n]...)
	}
	return n, err
}

// openIn reads up to the first samples of the sound in r. Where it would be refused, a registered Fallback decodes it.
func (d *Decoder) openIn(r io.Reader) error {
	f := fallback.Load()
	if f == nil {
		d.in.Reset(r)
		return d.open()
	}
	first := &replay{r: r}
	d.in.Reset(first)
	refused := d.open()
	kept, path := first.kept, filePath(r)
	first.kept, first.stopped = nil, true
	if !errors.Is(refused, ErrFormat) || path == "" && first.over {
		return refused
	}
	out, err := f.convert(path, io.MultiReader(bytes.NewReader(kept), r))
	if err == nil {
		d.outside = out
		d.in.Reset(out)
		if err = d.open(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%w (%w)", refused, err)
}

// filePath returns the path of a regular file that another program can open, "" for other readers.
func filePath(r io.Reader) string {
	f, ok := r.(*os.File)
	if !ok || f == os.Stdin {
		return ""
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return f.Name()
}

// outsideWarning returns what the fallback says was odd.
func (d *Decoder) outsideWarning() string {
	if w, ok := d.outside.(interface{ Warning() string }); ok {
		return w.Warning()
	}
	return ""
}
