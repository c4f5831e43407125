package datasets

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/audio"
	"golang.org/x/text/unicode/norm"
)

const (
	minCueBytes = 64 << 10 // of a file that is searched for cue points; two seconds of 16 kHz and 16 bit
	namedLoose  = 5        // ignored files that a note names, at most
	cueLead     = 0.1      // seconds from the beginning of an example to its cue point that states no length
)

// expandCues replaces each recording with labelled cue points by the clips that they mark, leaves out the other files
// beside the class folders, and counts the clips of each class.
func (t *tree) expandCues() {
	files := t.clips
	cues, errs, tracks := make([][]audio.Cue, len(files)), make([]error, len(files)), make([]string, len(files))
	forEach(context.Background(), len(files), nil, func(i int) error {
		if cues[i], tracks[i], errs[i] = t.readTrack(files[i].path); tracks[i] == "" && errs[i] == nil {
			cues[i], errs[i] = readCues(t.file(files[i].path))
		}
		return nil
	})
	t.clips = make([]clip, 0, len(files))
	recordings, unlabelled := 0, 0
	for i, c := range files {
		if errs[i] != nil {
			t.notes = append(t.notes, fmt.Sprintf("cue points are ignored: %v", errs[i]))
		}
		if tracks[i] != "" {
			t.tracks = append(t.tracks, tracks[i])
		}
		clips := expand(c, cues[i])
		unlabelled += len(cues[i]) - len(clips)
		switch {
		case len(clips) > 0:
			recordings++
		case c.class == "":
			if t.ignored["."]++; len(t.loose) < namedLoose {
				t.loose = append(t.loose, c.path)
			}
		default:
			clips = []clip{c}
		}
		for _, c := range clips {
			t.count[c.class]++
		}
		t.clips = append(t.clips, clips...)
	}
	if recordings > 0 {
		t.notes = append(t.notes,
			fmt.Sprintf("%d recording(s) are labelled by cue points or label tracks instead of folders", recordings))
	}
	if unlabelled > 0 {
		t.notes = append(t.notes, fmt.Sprintf("%d cue point(s) without a label are left out", unlabelled))
	}
}

// readTrack returns the labels of the label track beside a recording, SOUND.txt or SOUND.wav.txt for SOUND.wav, and its
// path; "" where there is none.
func (t *tree) readTrack(file string) (cues []audio.Cue, track string, err error) {
	for _, name := range []string{strings.TrimSuffix(file, path.Ext(file)) + ".txt", file + ".txt"} {
		f, err := os.Open(t.file(name))
		if err != nil {
			continue
		}
		defer f.Close()
		cues, err := audio.LabelTrack(f)
		if err != nil {
			err = fmt.Errorf("%s: %w", t.file(name), err)
		}
		if len(cues) > 0 || err != nil {
			return cues, name, err
		}
	}
	return nil, "", nil
}

// readCues returns a file's cue points; none if it is short, not WAV, or cannot be opened, which the Loader reports.
func readCues(name string) ([]audio.Cue, error) {
	info, err := os.Stat(name)
	wav := slices.Contains([]string{".wav", ".wave"}, strings.ToLower(filepath.Ext(name)))
	if err != nil || info.Size() < minCueBytes || !wav {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil
	}
	defer f.Close()
	cues, err := audio.Cues(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return cues, err
}

// expand returns one clip for each labelled cue point of a recording. A point without a length reaches to the next one.
func expand(recording clip, cues []audio.Cue) (clips []clip) {
	for _, cue := range cues {
		c := recording
		if c.class = norm.NFC.String(strings.TrimSpace(cue.Label)); c.class == "" {
			continue
		}
		c.part = Span{cue.Start, min(cue.End, cue.Start+maxSeconds)}
		if c.point = cue.End == cue.Start; c.point {
			c.part = Span{max(cue.Start-cueLead, 0), cue.Start + maxSeconds}
			if next := slices.IndexFunc(cues, func(c audio.Cue) bool { return c.Start > cue.Start }); next >= 0 {
				c.part.To = min(cues[next].Start, c.part.To)
			}
		}
		clips = append(clips, c)
	}
	return clips
}
