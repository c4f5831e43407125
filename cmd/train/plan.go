package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// plan is what is to be learnt, from what and how.
type plan struct {
	set     *datasets.Set
	report  *datasets.Report
	cfg     training.Config
	choices []training.Choice // about the data, and then about the recipe
	about   int               // choices about the data
	from    *polynet.Model    // nil: random weights
}

// planner makes plans of one folder. The clips are measured once.
type planner struct {
	*fitCmd
	survey  datasets.Survey
	options training.Options // but for those of a single run
	shown   *runProgress
	notes   io.Writer // receives what there is to note about the data
}

// plan returns the plan with a fold held out for the test; see datasets.Options.TestFold.
func (p *planner) plan(ctx context.Context, testFold int) (*plan, error) {
	set, err := p.openData(testFold, false)
	if err != nil {
		return nil, err
	}
	notes, err := checkLabels(set.Labels)
	for _, note := range slices.Concat(set.Notes, notes) {
		safe.Fprintf(p.notes, "train: %s\n", note)
	}
	if err != nil {
		return nil, err
	}
	made := &plan{set: set}
	if made.from, err = p.Training.from(); err != nil {
		return nil, err
	}
	if err := p.configure(made, cmp.Or(p.Sound.Window, 1)); err != nil { // before clips are read
		return nil, err
	}
	if p.survey == nil {
		reading := func(done, total int) { p.shown.work("measuring clips", done, total) }
		if p.survey, err = set.Survey(ctx, reading); err != nil {
			return nil, err
		}
	}
	lengths, err := p.survey.Lengths(set)
	if err != nil {
		return nil, err
	}
	window := p.Sound.Window
	if window == 0 {
		if window = lengths.Window(); lengths.Outliers() {
			notes = append(notes, lengthNote(lengths))
			safe.Fprintf(p.notes, "train: %s\n", lengthNote(lengths))
		}
	}
	if err := p.background(made, testFold, window); err != nil {
		return nil, err
	}
	made.set.Notes = append(made.set.Notes, notes...)
	made.report = made.set.Report(p.survey, window)
	p.divide(made, lengths, window)
	if err := p.begin(ctx, made, window); err != nil {
		return nil, err
	}
	return made, p.configure(made, window)
}

// decide adds a choice about the data.
func (made *plan) decide(c training.Choice) {
	made.choices = append(made.choices[:made.about], c)
	made.about++
}

// configure sets the recipe for the data in windows of so many seconds.
func (p *planner) configure(made *plan, window float64) error {
	cfg, choices, err := p.config(training.FactsOf(made.set, window, made.from), made.from)
	if err != nil {
		return err
	}
	cfg.Window = window
	if made.cfg, err = cfg.WithData(made.set); err != nil {
		return err
	}
	made.choices = append(made.choices[:made.about], choices...)
	return made.cfg.Validate()
}

// divide divides recordings that are longer than the window, unless they are exceptions among short clips.
func (p *planner) divide(made *plan, l datasets.Lengths, window float64) {
	hop := cmp.Or(p.Sound.Hop, window/2)
	if l.Outliers() && p.Sound.Hop == 0 {
		return
	}
	if n := made.set.Divide(p.survey, window, hop); n > 0 {
		made.decide(training.Choice{
			Setting: "hop", Value: fmt.Sprintf("%.3g", hop),
			Reason: fmt.Sprintf("all of %d recording(s), or labelled parts of them, that are longer than the window is used", n),
		})
	}
}

// What a data set is like for which a run begins with an embedded model by itself, where that tells its labels apart;
// bench/recipe/NOTES.md has the measurements.
const (
	fromClips   = 150 // training clips a label
	fromSeconds = 1.5 // of the window
	fromShare   = 0.8 // of the clips that the model tells apart
)

// begin chooses the model to begin with, where --from leaves that open.
func (p *planner) begin(ctx context.Context, made *plan, window float64) error {
	facts := training.FactsOf(made.set, window, nil)
	if p.Training.From != "" || p.Network.override(new(polynet.Config)) || p.Sound.Features != "default" ||
		len(p.Training.Teacher) > 0 || facts.Clips > fromClips*len(made.set.Labels) || window > fromSeconds {
		return nil
	}
	base := models.Base()
	share, err := training.Separation(ctx, made.set, base, window, p.options)
	if err != nil {
		return err
	}
	reason := fmt.Sprintf("base tells %.0f %% of the training clips apart", 100*share)
	choice := training.Choice{Setting: "from", Value: "none", Reason: reason}
	if share >= fromShare {
		made.from, choice.Value = base, models.Names[0]
	}
	made.decide(choice)
	return nil
}

// background adds examples of silence to a closed set of short sounds, since a detector of live sound meets nothing
// else most of the time.
func (p *planner) background(made *plan, testFold int, window float64) (err error) {
	background := func(label string) bool { return detect.Background(label) }
	if window > fromSeconds || p.Sound.Silence == 0 || len(made.set.Noise) > 0 ||
		slices.ContainsFunc(made.set.Labels, background) {
		return nil
	}
	made.decide(training.Choice{
		Setting: "silence", Value: fmt.Sprint(p.Sound.Silence),
		Reason: detect.SilenceLabel + " is learnt from synthesised noise, since there is no background recorded",
	})
	made.set, err = p.openData(testFold, true)
	return err
}

// openData opens the data set, with noise made where none is recorded or not.
func (c *fitCmd) openData(testFold int, makeNoise bool) (*datasets.Set, error) {
	return datasets.Open(c.Data, datasets.Options{
		Words: c.Words, Unknown: c.Sound.Unknown, Silence: c.Sound.Silence, Noise: c.Sound.Noise, Extra: c.Sound.Extra,
		Negatives: c.Sound.Negatives, NegativeShare: c.Sound.Negative,
		Seed: c.Training.Seed, TestFold: testFold, Folds: c.Folds.dealt, MakeNoise: makeNoise,
	})
}

// print prints what is to be learnt and how.
func (made *plan) print(w io.Writer) error {
	for _, f := range made.report.Findings {
		if f.Kind != datasets.Noted && f.Kind != datasets.Unreadable { // these are printed anyway
			safe.Fprintf(w, "train: %s: %s\n", f.Kind, f.Text)
		}
	}
	if err := printLabels(w, made.report); err != nil {
		return err
	}
	printChoices(w, made.choices)
	return nil
}

// mostRows is how many labels are printed.
const mostRows = 40

// printLabels prints how many clips there are of each label, how they are split, and the window.
func printLabels(w io.Writer, r *datasets.Report) error {
	t := table{columns: "lrrrr"}
	t.row("label", "training", "validation", "test", "seconds")
	for i, l := range r.Labels {
		if i == mostRows {
			t.row(fmt.Sprintf("and %d more", len(r.Labels)-mostRows))
			break
		}
		t.row(l.Label, fmt.Sprint(l.Train), fmt.Sprint(l.Valid), fmt.Sprint(l.Test), fmt.Sprintf("%.0f", l.Seconds))
	}
	if err := t.write(w); err != nil {
		return err
	}
	_, err := safe.Fprintf(w, "split %s\nwindow %g s: the longest clip has %.3g s (%s), 95 %% have at most %.3g s\n",
		r.Rule, r.Window, r.Longest, r.File, r.Usual)
	return err
}

// printChoices prints what was chosen.
func printChoices(w io.Writer, choices []training.Choice) {
	for _, c := range choices {
		safe.Fprintf(w, "--%s %s: %s\n", c.Setting, c.Value, c.Reason)
	}
}
