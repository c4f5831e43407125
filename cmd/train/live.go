package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/cmd/internal/progress"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/tuning"
)

// liveFlags say of what the live sound is made on which tune and eval --live measure, besides --without.
type liveFlags struct {
	Under      []string `help:"${underHelp}" type:"path" placeholder:"DIR"`
	Recordings []string `help:"${recordingsHelp}" type:"path" placeholder:"DIR"`
	Fluent     bool     `help:"${fluentHelp}"`
	SNR        float64  `name:"snr" help:"How much louder than the background the words are, in dB." default:"10"`
	Minutes    float64  `help:"${minutesHelp}" default:"0"`
	Seed       int64    `help:"Seed of the order and the pauses of words." default:"1"`
}

// check returns an error where the flags make no sense.
func (f liveFlags) check(without []string) error {
	if !(f.Minutes >= 0 && f.Minutes <= 1e4) {
		return usageError("--minutes must be in 0 to 10000")
	}
	if n := len(without); len(slices.Compact(slices.Sorted(slices.Values(without)))) < n {
		return usageError("--without names a folder twice")
	}
	return nil
}

// tracks returns the model's decisions on the live sound that the words in data and the folders make.
func (f liveFlags) tracks(
	ctx context.Context, s program.Streams, m *polynet.Model, data, split string, without []string, threads int,
) ([]*tuning.Track, error) {
	recognizer, err := polyphon.New(m, polyphon.WithThreads(1))
	if err != nil {
		return nil, modelError(err)
	}
	defer recognizer.Close()
	set, err := datasets.Open(data, datasets.Options{Labels: m.Labels})
	if err != nil {
		return nil, err
	}
	clips := set.Split(splits[split])
	if !slices.ContainsFunc(clips, func(it datasets.Item) bool {
		return !it.Silence && !detect.Background(m.Labels[it.Label])
	}) {
		return nil, fmt.Errorf("no clip of any of the model's words in %s (--split %s)", data, split)
	}
	material := &tuning.Material{
		Labels: m.Labels, Rate: m.Features.Rate, Window: m.Window, Clips: clips,
		Without: without, Under: f.Under, Recorded: f.Recordings, Fluent: f.Fluent,
		SNR: f.SNR, Minutes: f.Minutes, Seed: f.Seed,
		Note: func(err error) { safe.Fprintf(s.Err, "train: %v\n", err) },
	}
	total, err := material.Seconds()
	if err != nil {
		return nil, err
	}
	bar := progress.New(s.Err, int(math.Ceil(total)), "train")
	bar.Describe("seconds of sound")
	note := material.Note
	material.Note = func(err error) { bar.Clear(); note(err) }
	tracks, err := tuning.Tracks(ctx, recognizer, material.Recordings(), threads, func(at float64) { bar.Set(int(at)) })
	bar.Clear()
	return tracks, err
}

// checkLive returns an error where flags of eval for live sound, and others, do not go together.
func (c *evalCmd) checkLive() error {
	f := c.Sound
	switch {
	case !c.Live && (len(c.Without) > 0 || len(f.Under) > 0 || len(f.Recordings) > 0 || f.Fluent):
		return usageError("--without, --under, --recordings and --fluent are about --live")
	case !c.Live:
		return nil
	case len(c.Without) == 0:
		return usageError("--live needs --without: sound in which none of the words is said")
	case c.Context || c.Record:
		return usageError("--live goes with neither --context nor --record")
	case c.Computing.Device != "auto" && c.Computing.Device != "cpu":
		return usageError("--live computes on the processor, not on %s", c.Computing.Device)
	}
	return f.check(c.Without)
}

// live measures the model's operating point on live sound.
func (c *evalCmd) live(ctx context.Context, s program.Streams, model *polynet.Model) error {
	tracks, err := c.Sound.tracks(ctx, s, model, c.Data, c.Split, c.Without, c.Threads)
	if err != nil {
		return err
	}
	score, err := tuning.Measure(tracks, model.DetectionConfig())
	if err != nil {
		return err
	}
	r := c.Sound.report(model, c.Split, score)
	if c.JSON {
		return safe.WriteJSON(s.Out, r)
	}
	return r.print(s)
}

// liveReport is what eval --live --json prints: the figures of an operating point. docs/live.md describes it.
type liveReport struct {
	Split          string        `json:"split"`
	SNR            float64       `json:"snr"` // dB
	OperatingPoint detect.Config `json:"operating_point"`
	FalseAlarms    *alarmRate    `json:"false_alarms,omitempty"`
	Words          *missShare    `json:"words,omitempty"`
	Delay          *delays       `json:"delay,omitempty"`
	Sounds         []soundRow    `json:"sounds"`
	Labels         []labelRow    `json:"labels"`
	NearMisses     []nearMissRow `json:"near_misses"`
	Doubts         []string      `json:"doubts,omitempty"`
}

// alarmRate is a number of false alarms, and how many are in an hour, with its interval.
type alarmRate struct {
	Count   int     `json:"count"`
	Hours   float64 `json:"hours"`
	PerHour float64 `json:"per_hour"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
}

// missShare is how many words were missed, in percent with its interval.
type missShare struct {
	Said    int     `json:"said"`
	Missed  int     `json:"missed"`
	Percent float64 `json:"percent"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
}

// delays are seconds from a word's end to its event.
type delays struct {
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
	// Within is the model's lookahead and a quarter of a second, within which so many percent of the words were reported.
	Within  float64 `json:"within"`
	Percent float64 `json:"percent_within"`
}

// soundRow is about the recordings of one kind, and one folder of those without words.
type soundRow struct {
	Kind        string         `json:"kind"`
	Folder      string         `json:"folder,omitempty"`
	OtherWords  int            `json:"other_words,omitempty"` // that were said
	FalseAlarms *alarmRate     `json:"false_alarms,omitempty"`
	ByLabel     map[string]int `json:"false_alarms_by_label,omitempty"`
	Words       *missShare     `json:"words,omitempty"`
	Delay       *delays        `json:"delay,omitempty"`
	judged      bool           // whether the false alarms are in the total
}

type labelRow struct {
	Label       string     `json:"label"`
	FalseAlarms *alarmRate `json:"false_alarms,omitempty"`
	Words       *missShare `json:"words,omitempty"`
}

type nearMissRow struct {
	Word   string `json:"word"`
	Said   int    `json:"said"`
	Label  string `json:"label"`
	Events int    `json:"events"`
}

// kindNames name the kinds of recordings in JSON.
var kindNames = []string{
	tuning.Wordless: "without_words", tuning.OtherWord: "other_words", tuning.Recorded: "cue_points",
	tuning.Spoken: "words", tuning.Fluent: "fluent_words",
}

// report returns the figures of a score.
func (f liveFlags) report(m *polynet.Model, split string, score tuning.Score) *liveReport {
	r := &liveReport{
		Split: split, SNR: f.SNR, OperatingPoint: score.Config, FalseAlarms: alarms(score.Counts),
		Words: misses(score.Counts), Delay: delaysOf(m, score.Delays), Doubts: score.Doubts(),
		Sounds: []soundRow{}, Labels: []labelRow{}, NearMisses: []nearMissRow{},
	}
	for _, p := range score.Parts {
		row := soundRow{
			Kind: kindNames[p.Kind], OtherWords: p.Others, FalseAlarms: alarms(p.Counts), ByLabel: p.Labels,
			Words: misses(p.Counts), Delay: delaysOf(m, p.Delays), judged: p.Kind.Judged(),
		}
		if p.Kind == tuning.Wordless {
			row.Folder = shownPath(p.Folder)
		}
		r.Sounds = append(r.Sounds, row)
	}
	for _, label := range m.Labels {
		counts := tuning.Counts{Hours: score.Hours}
		if c := score.Labels[label]; c != nil {
			counts = *c
		}
		if !detect.Background(label) {
			r.Labels = append(r.Labels, labelRow{label, alarms(counts), misses(counts)})
		}
	}
	for _, n := range score.NearMisses() {
		r.NearMisses = append(r.NearMisses, nearMissRow(n))
	}
	return r
}

// alarms returns the false alarms, nil where there was no sound.
func alarms(c tuning.Counts) *alarmRate {
	if c.Hours == 0 {
		return nil
	}
	i := c.FalseAlarmInterval()
	return &alarmRate{c.FalseAlarms, c.Hours, c.FalseAlarmsPerHour(), i.Low, i.High}
}

// misses returns the missed words, nil where none were said.
func misses(c tuning.Counts) *missShare {
	if c.Words == 0 {
		return nil
	}
	i := c.MissInterval()
	return &missShare{c.Words, c.Missed, 100 * c.MissRate(), 100 * i.Low, 100 * i.High}
}

// delaysOf returns figures of delays, nil where there are none.
func delaysOf(m *polynet.Model, d tuning.Delays) *delays {
	if len(d) == 0 {
		return nil
	}
	within := m.Net.Lookahead(m.Features).Seconds() + reportDelay
	return &delays{d.Quantile(0.5), d.Quantile(0.95), within, 100 * d.Within(within)}
}

// shownPath returns a path relative to the working folder where it lies below it.
func shownPath(path string) string {
	if here, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}
