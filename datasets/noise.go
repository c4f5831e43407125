package datasets

import (
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/polyphon/polyphon/audio"
)

// Span is a stretch of a recording, in seconds.
type Span struct{ From, To float64 }

// Recording is a background recording. Its time line is divided, so that no two splits share noise: the first 80 %
// for training, the next 10 % for validation, the last 10 % for the test. Recordings of which a tenth is shorter than a
// silence example are not divided but given to a split as a whole: a tenth of them, at least one if there are
// three, to validation and to the test each. Only the first ten minutes are used.
type Recording struct {
	Path  string
	Parts [All]Span // by Train, Valid and Test; empty where the split gets nothing
}

// maxSeconds is how much of a recording is used, of noise and of clips.
const maxSeconds = 600

// silentShare of the silence examples are digital zeros.
const silentShare = 0.1

// addSilence adds the noise recordings and the examples of _silence_ cut from them.
func (s *Set) addSilence(t *tree, o Options) error {
	seconds := make([]float64, 0, len(t.noise))
	for _, name := range t.noise {
		file := filepath.Join(t.dir, filepath.FromSlash(name))
		length, err := duration(file)
		if err != nil {
			s.Notes = append(s.Notes, fmt.Sprintf("the noise recording %s is left out: %v", name, err))
			continue
		}
		s.Noise = append(s.Noise, Recording{Path: file})
		seconds = append(seconds, length)
	}
	label := slices.Index(s.Labels, SilenceLabel)
	if o.Window <= 0 && o.Silence > 0 && label >= 0 && len(s.Noise) > 0 {
		return fmt.Errorf("%w: silence examples of %g seconds", ErrOptions, o.Window)
	}
	divide(s.Noise, seconds, o.Window)
	if label < 0 {
		return nil
	}
	counts := s.Counts()
	for split := Train; split < All; split++ {
		words := 0
		for _, c := range counts {
			if c.Label != UnknownLabel && c.Label != SilenceLabel {
				words += c.Clips[split]
			}
		}
		n := share(o.Silence, words) - counts[label].Clips[split]
		s.cutSilence(label, split, n, o.Window, drawSource(o, split, "silence"))
	}
	return nil
}

// cutSilence adds n examples of a split, from all recordings in turn.
func (s *Set) cutSilence(label int, split Split, n int, window float64, rng *rand.Rand) {
	var usable []Recording
	for _, r := range s.Noise {
		if r.Parts[split].To > r.Parts[split].From {
			usable = append(usable, r)
		}
	}
	for i := 0; i < n && len(usable) > 0; i++ {
		r := usable[i%len(usable)]
		it := Item{Path: r.Path, Word: noiseFolder, Label: label, Split: split}
		it.Offset, it.Gain = drawSilence(r.Parts[split], window, rng)
		s.Items = append(s.Items, it)
	}
}

// drawSilence draws where an example of window seconds begins, and how loud it is.
func drawSilence(part Span, window float64, rng *rand.Rand) (offset, gain float64) {
	offset = part.From + rng.Float64()*max(0, part.To-part.From-window)
	if rng.Float64() < silentShare {
		return offset, 0
	}
	return offset, rng.Float64()
}

// divide sets the parts of recordings of the given lengths.
func divide(noise []Recording, seconds []float64, window float64) {
	var short []int
	for i, length := range seconds {
		if length/10 < window {
			short = append(short, i)
			continue
		}
		noise[i].Parts = [All]Span{{0, 0.8 * length}, {0.8 * length, 0.9 * length}, {0.9 * length, length}}
	}
	slices.SortStableFunc(short, func(i, j int) int {
		return cmp.Compare(nameHash(filepath.Base(noise[i].Path)), nameHash(filepath.Base(noise[j].Path)))
	})
	held := 0
	if len(short) >= 3 {
		held = max(1, len(short)/10)
	}
	for k, i := range short {
		split := Train
		switch {
		case k < held:
			split = Valid
		case k < 2*held:
			split = Test
		}
		noise[i].Parts[split] = Span{0, seconds[i]}
	}
}

// duration decodes a file to find its length in seconds, at most maxSeconds: headers lie.
func duration(file string) (float64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	d, err := audio.Decode(f)
	if err != nil {
		return 0, err
	}
	buffer := make([]float32, 1<<14)
	samples := 0
	for samples < maxSeconds*d.Rate() {
		n, err := d.Read(buffer)
		samples += n
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if samples == 0 {
		return 0, fmt.Errorf("%w: no samples", ErrNoData)
	}
	return min(float64(samples)/float64(d.Rate()), maxSeconds), nil
}
