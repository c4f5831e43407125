package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/enroll"
)

const otherShare = 0.015 // of the clips of other words in the background that may be taken for a word

// measure enrolls a word with the embedded background, and classifies other speakers' clips of it, and of other words.
func (j *job) measure(word string, enrolled, rest []string) ([]string, error) {
	b, err := j.background()
	if err != nil {
		return nil, err
	}
	w, _, err := j.fit(word, enrolled, b, new(enroll.Sound), enroll.Running)
	if err != nil {
		return nil, err
	}
	m, err := enroll.Add(j.m, w)
	if err != nil {
		return nil, err
	}
	r, err := polyphon.New(m)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	taken := func(paths []string) (n int, err error) {
		for part := range slices.Chunk(paths, 64) {
			var clips []audio.Clip
			for _, path := range part {
				c, err := audio.ReadFile(path, m.Features.Rate)
				if err != nil {
					return 0, err
				}
				clips = append(clips, c)
			}
			for _, result := range r.ClassifyBatch(clips) {
				if result.Err != nil {
					return 0, result.Err
				}
				if result.Scores[0].Label == word {
					n++
				}
			}
		}
		return n, nil
	}
	others := j.others(word)
	found, err := taken(rest)
	if err != nil {
		return nil, err
	}
	wrong, err := taken(others)
	return []string{
		fmt.Sprint(len(rest)), fmt.Sprint(found), fmt.Sprint(len(others)), fmt.Sprint(wrong),
		fmt.Sprintf("%.4f", float64(w.Taken)/float64(w.Other)),
	}, err
}

// fit returns the word made of clips, and what it was made of.
func (j *job) fit(
	word string, paths []string, b *enroll.Background, s *enroll.Sound, running float64,
) (*enroll.Word, *enroll.Examples, error) {
	examples, err := j.e.Examples(context.Background(), paths, 1)
	if err != nil {
		return nil, nil, err
	}
	if err := j.e.Surround(examples, s, 1); err != nil {
		return nil, nil, err
	}
	w, err := enroll.Fit(word, examples, b, otherShare, running)
	return w, examples, err
}

// perHour is how many events of a wake word are to be expected, as train wake has it by itself.
const perHour = 2

// wake makes a wake word of clips and of the training and validation speech, and counts its events.
func (j *job) wake(word string, enrolled, rest []string) ([]string, error) {
	ctx := context.Background()
	if j.talked == nil {
		b, err := j.background()
		if err != nil {
			return nil, err
		}
		for _, split := range []string{"train", "valid"} {
			if err := j.e.AddSounds(ctx, b, &j.sound, filepath.Join(j.speech, split), skip); err != nil {
				return nil, err
			}
		}
		j.talked = b
	}
	b, s := j.talked, j.sound
	w, examples, err := j.fit(word, enrolled, b, &s, enroll.RunningWake)
	if err != nil {
		return nil, err
	}
	wake, err := j.e.Tune(w, examples, b, &s, perHour)
	if err != nil {
		return nil, err
	}
	var test []string
	for f, err := range audio.Files(filepath.Join(j.speech, "test")) {
		if err != nil {
			return nil, err
		}
		test = append(test, f.Path)
	}
	var counts [3]counted
	others := j.others(word)
	for i, paths := range [][]string{rest, others, test} {
		if counts[i], err = j.events(w, wake.Point, paths); err != nil {
			return nil, err
		}
	}
	return []string{
		fmt.Sprint(wake.Missed), fmt.Sprint(wake.Events), fmt.Sprintf("%.3f", wake.Hours), fmt.Sprint(len(rest)),
		fmt.Sprint(counts[0].sounds), fmt.Sprint(len(others)), fmt.Sprint(counts[1].sounds), fmt.Sprint(counts[2].events),
		fmt.Sprintf("%.3f", counts[2].seconds/3600),
	}, nil
}

// counted is what events counts.
type counted struct {
	sounds  int // in which there were any
	events  int
	seconds float64
}

// heard is a sound with a second of silence before and after it.
type heard struct {
	windows *enroll.Windows
	seconds float64 // without the silence
}

// events counts the events of a word in sounds. Their windows are computed once for all words.
func (j *job) events(w *enroll.Word, point detect.Config, paths []string) (n counted, err error) {
	for _, path := range paths {
		h, ok := j.heard[path]
		if !ok {
			c, err := audio.ReadFile(path, j.m.Features.Rate)
			if err != nil {
				return n, err
			}
			pause := make([]float32, c.Rate)
			if h.windows, err = j.e.Windows(slices.Concat(pause, c.Samples, pause)); err != nil {
				return n, err
			}
			h.seconds = float64(len(c.Samples)) / float64(c.Rate)
			j.heard[path] = h
		}
		events, err := w.Events(point, h.windows)
		if err != nil {
			return n, err
		}
		n.seconds += h.seconds
		if n.events += events; events > 0 {
			n.sounds++
		}
	}
	return n, nil
}
