package audio

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	goaudio "github.com/go-audio/audio"
	"github.com/go-audio/wav"
)

// Tags are what a WAV file says about its sound (RIFF INFO). Empty ones are not written.
type Tags struct {
	Title    string    // INAM
	Comment  string    // ICMT
	Software string    // ISFT, the program that wrote the file
	Created  time.Time // ICRD, of which only the date is written
}

// WriteWAV writes the clip as a WAV file of 16-bit mono PCM to w, from its beginning on, and the tags after the
// samples. Samples are rounded to the nearest value, without dither, and clipped at full scale; NaN is written as 0.
//
// Errors: ErrEmpty for a clip without samples, ErrFormat for a rate that is not read either, ErrTooLong beyond the
// 4 GiB of a WAV file, and w's own. A w that is an *os.File is synced.
func WriteWAV(w io.WriteSeeker, c Clip, t Tags) error {
	const heads = 1 << 10 // more than the bytes of all chunks without their contents
	switch err := (Format{Rate: c.Rate, Channels: 1}).check(); {
	case err != nil:
		return err
	case len(c.Samples) == 0:
		return ErrEmpty
	case int64(len(c.Samples)) > (math.MaxUint32-heads-int64(len(t.Title)+len(t.Comment)+len(t.Software)))/2:
		return fmt.Errorf("%w: %d samples are more than a WAV file holds", ErrTooLong, len(c.Samples))
	}
	e := wav.NewEncoder(w, c.Rate, 16, 1, tagPCM)
	if t != (Tags{}) {
		e.Metadata = &wav.Metadata{Title: padded(t.Title), Comments: padded(t.Comment), Software: padded(t.Software)}
		if !t.Created.IsZero() {
			e.Metadata.CreationDate = padded(t.Created.Format(time.DateOnly))
		}
	}
	ints := &goaudio.IntBuffer{Format: &goaudio.Format{NumChannels: 1, SampleRate: c.Rate}}
	for block := range slices.Chunk(c.Samples, blockSamples) {
		ints.Data = ints.Data[:0]
		for _, v := range block {
			if v != v {
				v = 0
			}
			ints.Data = append(ints.Data, int(min(max(math.RoundToEven(float64(v)*(1<<15)), -1<<15), 1<<15-1)))
		}
		if err := e.Write(ints); err != nil {
			return err
		}
	}
	return e.Close()
}

// padded appends a NUL where that makes the length odd: the library ends each text with one NUL and does not pad it to
// the even length that chunks need.
func padded(text string) string {
	if text != "" && len(text)%2 == 0 {
		text += "\x00"
	}
	return text
}
