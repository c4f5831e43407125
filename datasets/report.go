package datasets

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/detect"
)

// Report is what there is to know about a Set before a model is trained on it.
type Report struct {
	Folder   string        `json:"folder"`
	Rule     string        `json:"rule"` // how the clips were split
	Labels   []LabelReport `json:"labels"`
	Window   float64       `json:"window"`       // seconds of a decision
	Usual    float64       `json:"usual"`        // seconds; no shorter than 95 % of the clips
	Longest  float64       `json:"longest"`      // seconds
	File     string        `json:"longest_file"` // with the longest clip
	Findings []Finding     `json:"findings"`
}

// LabelReport is a label's part of a Report.
type LabelReport struct {
	Label   string  `json:"label"`
	Train   int     `json:"train"` // examples, without those that cannot be read
	Valid   int     `json:"valid"`
	Test    int     `json:"test"`
	Seconds float64 `json:"seconds"` // of its clips, all splits together
}

// FindingKind says what a Finding is about.
type FindingKind string

// The kinds of findings.
const (
	Unreadable   FindingKind = "unreadable"  // files that cannot be read
	SilentSound  FindingKind = "silent"      // files with nothing but silence
	ClippedSound FindingKind = "clipped"     // files that are distorted
	Leak         FindingKind = "leak"        // a speaker, or the same sound, in several splits
	Contradicts  FindingKind = "contradicts" // the same sound in several labels
	TooFew       FindingKind = "too few"     // clips for what is made of them
	Uneven       FindingKind = "uneven"      // labels with many and with few clips
	ClosedSet    FindingKind = "closed set"  // there is nothing that is none of the labels
	Noted        FindingKind = "note"        // what Open noted: files that are ignored, copies, ...
)

// Finding is something to know, or to mend.
type Finding struct {
	Kind  FindingKind `json:"kind"`
	Text  string      `json:"text"`            // a sentence
	Files []string    `json:"files,omitempty"` // all that it is about
}

// What is too little, and uneven.
const (
	fewTraining  = 10  // clips of a label
	fewMeasuring = 100 // clips, with which an accuracy is certain to within ten points
	unevenLabels = 10  // times as many clips of one label as of another
	namedFiles   = 3   // files that a Finding's text names
)

// Report returns what there is to know about the set, given what its files are like and the window.
func (s *Set) Report(survey Survey, window float64) *Report {
	r := &Report{Folder: s.Dir, Rule: s.Rule, Window: window}
	if l, err := survey.Lengths(s); err == nil {
		r.Usual, r.Longest, r.File = l.Usual, l.Longest, l.Path
	}
	r.count(s, survey)
	for _, note := range s.Notes {
		r.add(Noted, nil, "%s", note)
	}
	r.addSounds(survey)
	r.addBeyond(s, survey)
	r.addLeaks(s, survey)
	r.addDoubts()
	return r
}

// count counts what can be read.
func (r *Report) count(s *Set, survey Survey) {
	for _, label := range s.Labels {
		r.Labels = append(r.Labels, LabelReport{Label: label})
	}
	for _, it := range s.Items {
		l := &r.Labels[it.Label]
		if !it.Silence && !it.Negative {
			seconds := survey[it.Path].length(it)
			if seconds == 0 {
				continue
			}
			l.Seconds += seconds
		}
		*[]*int{&l.Train, &l.Valid, &l.Test}[it.Split]++
	}
}

func (r *Report) add(kind FindingKind, files []string, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{kind, fmt.Sprintf(format, args...), files})
}

// addFiles adds a finding about files, if there are any: its text says how many and names some.
func (r *Report) addFiles(kind FindingKind, files []string, what string) {
	if len(files) > 0 {
		slices.Sort(files)
		r.add(kind, files, "%d file(s) %s: %s", len(files), what, enumerate(files, namedFiles))
	}
}

// addSounds adds what is wrong with single files.
func (r *Report) addSounds(survey Survey) {
	var unreadable, silent, clipped []string
	for path, sound := range survey {
		switch {
		case sound.Err != nil:
			unreadable = append(unreadable, path)
		case sound.Silent():
			silent = append(silent, path)
		case sound.Overdriven():
			clipped = append(clipped, path)
		}
	}
	if len(unreadable) > 0 {
		slices.Sort(unreadable)
		var reasons []string // which name the files
		for _, path := range unreadable {
			reasons = append(reasons, survey[path].Err.Error())
		}
		r.add(Unreadable, unreadable, "%d file(s) cannot be read and are skipped: %s", len(unreadable),
			enumerate(reasons, namedFiles))
	}
	r.addFiles(SilentSound, silent, "hold nothing but silence; remove them")
	r.addFiles(ClippedSound, clipped, "are clipped: more than one sample in 1,000 is at full scale")
}

// addBeyond adds the recordings that end before the places that cue points or label tracks state.
func (r *Report) addBeyond(s *Set, survey Survey) {
	var files []string
	for _, it := range s.Items {
		sound := survey[it.Path]
		if !it.Silence && !it.Negative && sound.Err == nil && sound.length(it) == 0 && !slices.Contains(files, it.Path) {
			files = append(files, it.Path)
		}
	}
	r.addFiles(Unreadable, files, "end before clips that their cue points or label tracks state, which are skipped")
}

// addLeaks adds speakers and sounds that are in several splits, and sounds that are in several labels.
func (r *Report) addLeaks(s *Set, survey Survey) {
	speakers, contents := map[string]*place{}, map[uint64]*place{}
	for _, it := range s.Items {
		sound := survey[it.Path]
		if it.Silence || it.Negative || sound.Err != nil {
			continue
		}
		if who, named := Speaker(filepath.ToSlash(it.Path)); named {
			seenAt(speakers, who, it)
		}
		if it.Part == (Span{}) && !sound.Silent() {
			seenAt(contents, sound.Content, it)
		}
	}
	var who, same, labels []string
	for name, p := range speakers {
		if p.inSplits() > 1 {
			who = append(who, name)
		}
	}
	for _, p := range contents {
		names := sameNames(p.files)
		if p.inSplits() > 1 {
			same = append(same, names)
		}
		if len(p.labels) > 1 {
			labels = append(labels, names)
		}
	}
	slices.Sort(who)
	if len(who) > 0 {
		r.add(Leak, nil, "%d speaker(s) or recording(s) have clips in several splits, so that accuracies are better than "+
			"the truth: %s", len(who), enumerate(who, namedFiles))
	}
	r.addFiles(Leak, same, "have the same sound as one in another split, so that accuracies are better than the truth")
	r.addFiles(Contradicts, labels, "have the same sound as one of another label, of which one at most is right")
}

// sameNames returns names of files with the same sound, not all of them if they are many.
func sameNames(files []string) string {
	if len(files) <= namedFiles {
		return strings.Join(files, " = ")
	}
	return fmt.Sprintf("%s = … (%d in all)", strings.Join(files[:namedFiles], " = "), len(files))
}

// place is where a speaker, or a sound, is found.
type place struct {
	splits [All]bool
	labels map[int]bool
	files  []string
}

// seenAt notes an example under a key.
func seenAt[K comparable](places map[K]*place, key K, it Item) {
	p := places[key]
	if p == nil {
		p = &place{labels: map[int]bool{}}
		places[key] = p
	}
	p.splits[it.Split], p.labels[it.Label] = true, true
	if n := len(p.files); n == 0 || p.files[n-1] != it.Path {
		p.files = append(p.files, it.Path)
	}
}

func (p *place) inSplits() (n int) {
	for _, in := range p.splits {
		if in {
			n++
		}
	}
	return n
}

// addDoubts adds what the clips are too few, or too uneven, for.
func (r *Report) addDoubts() {
	var few []string
	var fewest, most LabelReport
	valid, test, closed := 0, 0, true
	for _, l := range r.Labels {
		valid, test, closed = valid+l.Valid, test+l.Test, closed && l.Label != detect.UnknownLabel
		if l.Label == detect.SilenceLabel {
			continue
		}
		if l.Train < fewTraining {
			few = append(few, fmt.Sprintf("%s (%d)", l.Label, l.Train))
		}
		if fewest.Label == "" || l.Train < fewest.Train {
			fewest = l
		}
		if l.Train > most.Train {
			most = l
		}
	}
	if len(few) > 0 {
		r.add(TooFew, nil, "fewer than %d training clips: %s", fewTraining, enumerate(few, mostLabels))
	}
	for _, part := range []struct {
		name  string
		clips int
	}{{"validation", valid}, {"test", test}} {
		if part.clips > 0 && part.clips < fewMeasuring {
			r.add(TooFew, nil, "an accuracy on %d %s clips is uncertain by up to %.0f points either way; cross-validation "+
				"measures on all clips", part.clips, part.name, min(98/math.Sqrt(float64(part.clips)), 100))
		}
	}
	if most.Train >= unevenLabels*max(fewest.Train, 1) {
		r.add(Uneven, nil, "%s has %d training clips and %s %d: look at each label's recall, not at the accuracy",
			most.Label, most.Train, fewest.Label, fewest.Train)
	}
	if closed {
		r.add(ClosedSet, nil, "no examples of other sounds: every sound is taken for one of the labels; put others in a "+
			"folder %s", detect.UnknownLabel)
	}
}
