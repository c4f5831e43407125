package datasets

import (
	"fmt"
	"path"

	"github.com/polyphon/polyphon/audio"
	"golang.org/x/text/unicode/norm"
)

// Clip is a recording in memory.
type Clip struct {
	Label   string // any text; `_background_noise_` for noise
	Speaker string // whose clips stay in one split; "": the clip is by itself
	Split   string // train, valid or test; where no clip has one, they are divided by hash as Open's are
	Sound   audio.Clip
}

// New returns the data set of clips in memory, which must not change while it is used. Options and errors are as for
// Open; messages name a clip by its label and its number, from 0, or its speaker.
func New(clips []Clip, o Options) (*Set, error) {
	t := &tree{count: map[string]int{}, ignored: map[string]int{}, memory: map[string]*audio.Clip{}}
	for i, c := range clips {
		class := norm.NFC.String(c.Label)
		name := path.Join(class, fmt.Sprintf("%d.wav", i))
		if c.Speaker != "" {
			name = path.Join(class, fmt.Sprintf("%s_nohash_%d.wav", c.Speaker, i))
		}
		t.memory[name] = &c.Sound
		if class == noiseFolder {
			t.noise = append(t.noise, name)
			continue
		}
		split, named := splitFolders[c.Split]
		if !named && c.Split != "" {
			return nil, fmt.Errorf("%w: clip %d is in the split %q, none of train, valid and test", ErrOptions, i, c.Split)
		}
		t.given[split] = t.given[split] || named
		t.clips = append(t.clips, clip{path: name, class: class, split: split})
		t.count[class]++
	}
	t.sort()
	return t.open(o)
}
