package datasets

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/features"
)

const testRate = 4000

// testFeatures are small, so that tests are quick.
func testFeatures(t testing.TB) *features.Extractor {
	e, err := features.New(features.Config{
		Rate: testRate, FFT: 64, Window: 64, Hop: 40, Mels: 8, MinHz: 50, MaxHz: 2000, Floor: 1e-5, Scale: features.HTK,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// folder is a data folder in the making.
type folder struct {
	testing.TB
	dir string
}

func newFolder(t testing.TB) folder { return folder{t, t.TempDir()} }

func (f folder) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

func (f folder) write(name, content string) {
	f.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o755); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), []byte(content), 0o644); err != nil {
		f.Fatal(err)
	}
}

// sound writes a WAV file.
func (f folder) sound(name string, samples []float32) {
	f.Helper()
	f.write(name, string(audiotest.WAV(audio.S16LE, testRate, samples)))
}

// clips writes short clips, each of its own content.
func (f folder) clips(names ...string) {
	f.Helper()
	for _, name := range names {
		f.sound(name, tone(200+1000*float64(nameHash(name))/setRange, 0.5, 40))
	}
}

// class writes a class of so many speakers, one clip each.
func (f folder) class(word string, speakers int) {
	f.Helper()
	for i := range speakers {
		f.clips(fmt.Sprintf("%s/%08x_nohash_0.wav", word, uint32(i)*2654435761))
	}
}

func (f folder) open(o Options) *Set {
	f.Helper()
	s, err := Open(f.dir, o)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// tone returns n samples of a sine.
func tone(hz, amplitude float64, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(amplitude * math.Sin(2*math.Pi*hz*float64(i)/testRate))
	}
	return x
}

// names returns what the items' paths end in, below the folder.
func (f folder) names(items []Item) []string {
	var names []string
	for _, it := range items {
		name, err := filepath.Rel(f.dir, it.Path)
		if err != nil {
			f.Fatal(err)
		}
		names = append(names, filepath.ToSlash(name))
	}
	return names
}

// Count is the number of a label's examples in each split.
type Count struct {
	Label string
	Clips [All]int
}

// Counts returns one row per label, in the order of Labels.
func (s *Set) Counts() (counts []Count) {
	for i, clips := range s.counts() {
		counts = append(counts, Count{s.Labels[i], clips})
	}
	return counts
}

// frames returns the number of rows of a window.
func (l *Loader) frames() int { return l.cfg.Extractor.Config().Frames(l.window) }
