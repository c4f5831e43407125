package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/enroll"
)

// measure enrolls a word with the background. It counts other speakers' clips of it, and clips of other words, that
// are taken for it.
func (j *job) measure(word string, enrolled, rest []string) ([]string, error) {
	if j.made == nil {
		b, err := j.background()
		if err != nil {
			return nil, err
		}
		j.made = b
	}
	w, _, err := j.fit(word, enrolled, j.made, new(enroll.Sound), j.share/100, enroll.Running)
	if err != nil {
		return nil, err
	}
	others := j.others(word)
	found, err := j.taken(w, rest)
	if err != nil {
		return nil, err
	}
	wrong, err := j.taken(w, others)
	return []string{
		fmt.Sprint(len(rest)), fmt.Sprint(found), fmt.Sprint(len(others)), fmt.Sprint(wrong),
		fmt.Sprintf("%.4f", float64(w.Taken)/float64(w.Other)),
	}, err
}

// taken returns how many clips are taken for a word. Their embeddings are computed once for all words.
func (j *job) taken(w *enroll.Word, paths []string) (n int, err error) {
	var items []datasets.Item
	for _, path := range paths {
		if _, ok := j.clipRows[path]; !ok {
			items = append(items, datasets.Item{Path: path})
		}
	}
	if len(items) > 0 {
		rows, err := j.e.Clips(context.Background(), items, 0, 0, skip)
		if err != nil {
			return 0, err
		}
		for i, k := range rows.Truth {
			j.clipRows[items[k].Path] = rows.Values[i*rows.Width : (i+1)*rows.Width]
		}
	}
	for _, path := range paths {
		if row, ok := j.clipRows[path]; ok && w.Takes(row) {
			n++
		}
	}
	return n, nil
}

// fit returns the word made of clips, and what it was made of.
func (j *job) fit(
	word string, paths []string, b *enroll.Background, s *enroll.Sound, share, running float64,
) (*enroll.Word, *enroll.Examples, error) {
	examples, err := j.e.Examples(context.Background(), paths, 1)
	if err != nil {
		return nil, nil, err
	}
	if err := j.e.Surround(examples, s, 1); err != nil {
		return nil, nil, err
	}
	w, err := enroll.Fit(word, examples, b, share, running)
	return w, examples, err
}

// As train wake has them by itself.
const (
	perHour   = 2    // events that are to be expected
	wakeShare = 0.01 // of other words at which the probability of a wake word is 1/2
)

// wake makes a wake word of clips and of the training and validation speech, and counts its events.
func (j *job) wake(word string, enrolled, rest []string) ([]string, error) {
	ctx := context.Background()
	if j.made == nil {
		b, err := j.background()
		if err != nil {
			return nil, err
		}
		for _, split := range []string{"train", "valid"} {
			if err := j.e.AddSounds(ctx, b, &j.sound, nil, filepath.Join(j.speech, split), skip); err != nil {
				return nil, err
			}
		}
		j.made = b
	}
	b, s := j.made, j.sound
	w, examples, err := j.fit(word, enrolled, b, &s, wakeShare, enroll.RunningWake)
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

// padded is a sound with a second of silence before and after it.
type padded struct {
	windows *enroll.Windows
	seconds float64 // without the silence
}

// events counts the events of a word in sounds. Their windows are computed once for all words.
func (j *job) events(w *enroll.Word, point detect.Config, paths []string) (n counted, err error) {
	for _, path := range paths {
		h, ok := j.padded[path]
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
			j.padded[path] = h
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
