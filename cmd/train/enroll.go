package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/enroll"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/tuning"
)

type enrollCmd struct {
	Clips     []string `arg:"" optional:"" name:"clip" help:"Clips of the word: sound files, or folders of them."`
	Word      string   `help:"The word, as the label that it is to have." placeholder:"NAME"`
	Remove    []string `help:"Words to remove from the model first." placeholder:"NAME"`
	Model     string   `help:"${enrollModelHelp}" placeholder:"MODEL"`
	Out       string   `help:"${enrollOutHelp}" type:"path" placeholder:"FILE"`
	Taken     float64  `help:"${takenHelp} (${default})." default:"1.25" placeholder:"PERCENT"`
	Negatives []string `help:"${soundsHelp}" type:"path" placeholder:"DIR"`
	Force     bool     `help:"Replace the file of --out, where it is there and is not that of --model."`
	Seed      int64    `help:"Seed of the clips' variants." default:"1"`

	Source    []sourceFlag    `help:"${sourceHelp}" sep:"none" placeholder:"NAME: LICENCE, ATTRIBUTION"`
	Computing computing.Flags `embed:""`
	Decoding  decoding.Flags  `embed:""`
}

func (c *enrollCmd) Run(ctx context.Context, s program.Streams) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	m, err := models.Open(c.Model)
	if err != nil {
		return modelError(err)
	}
	if c.Word == "" {
		if m, err = enroll.Remove(m, c.Remove...); err != nil {
			return usageError("--remove: %w", err)
		}
	} else {
		dev, err := openDevice(c.Computing, 0, s.Err)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, modelError(dev.Close())) }()
		w, err := openWorkshop(ctx, m, dev.Trainer, c.Clips, c.Negatives, c.Seed, s.Err)
		if err != nil {
			return err
		}
		defer w.close()
		if err := w.fit(c.Word, c.Taken/100, enroll.Running, c.Seed); err != nil {
			return err
		}
		if m, err = enroll.Add(m, w.word, c.Remove...); err != nil {
			return err
		}
		w.describe(reportTo(s, c.out()))
		m.Provenance.Sources = append(m.Provenance.Sources, w.background.Sources...)
	}
	if err := saveWords(m, c.out(), c.Source); err != nil {
		return err
	}
	safe.Fprintf(reportTo(s, c.out()), "%s: %s\n", shownPath(c.out()), count(len(m.Labels)-1, "word"))
	return nil
}

// out returns the file that is written.
func (c *enrollCmd) out() string { return cmp.Or(c.Out, c.Model) }

func (c *enrollCmd) check() error {
	switch {
	case c.Word == "" && len(c.Remove) == 0:
		return usageError("--word or --remove must say what to do")
	case c.Word != "" && len(c.Clips) == 0:
		return usageError("--word %s needs clips in which it is said", c.Word)
	case c.Word == "" && len(c.Clips) > 0:
		return usageError("clips need --word, the word that is said in them")
	case !(c.Taken > 0 && c.Taken < 100):
		return usageError("--taken %g: it must be above 0 and below 100", c.Taken)
	case c.Out == "" && models.Embedded(c.Model):
		return usageError("--out must name the file to write: the embedded models do not change")
	}
	if _, err := checkLabels([]string{c.Word}); err != nil {
		return usageError("%w", err)
	}
	if err := atomicfile.Check(c.out()); err != nil {
		return err
	}
	if c.Out == "" || c.Force || atomicfile.InPlace(c.Out) || sameFile(c.Out, c.Model) || !exists(c.Out) {
		return nil
	}
	return usageError("%s exists: --model %s adds to the words that are in it, --force replaces it",
		shownPath(c.Out), shownPath(c.Out))
}

// sameFile reports whether two paths lead to the same file.
func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// saveWords writes a detector of words with where it comes from.
func saveWords(m *polynet.Model, path string, sources []sourceFlag) error {
	m.Provenance.Command, m.Provenance.Commit = commandLine(), program.Commit()
	m.Provenance.Created = time.Now().UTC().Format(time.RFC3339)
	for _, source := range sources {
		m.Provenance.Sources = append(m.Provenance.Sources, polynet.Source(source))
	}
	m.Provenance.Sources = distinct(m.Provenance.Sources)
	return m.Save(path)
}

// distinct returns the sources, each once.
func distinct(sources []polynet.Source) (list []polynet.Source) {
	seen := map[polynet.Source]bool{}
	for _, s := range sources {
		if !seen[s] {
			list = append(list, s)
		}
		seen[s] = true
	}
	return list
}

// workshop is what words are made of.
type workshop struct {
	embedder   *enroll.Embedder
	background *enroll.Background
	sound      enroll.Sound
	console    io.Writer

	examples *enroll.Examples
	word     *enroll.Word
}

// openWorkshop returns one for a network and clips of a word, with the background that is embedded for the network, and
// recordings.
func openWorkshop(
	ctx context.Context, m *polynet.Model, dev device.Device, clips, negatives []string, seed int64, console io.Writer,
) (*workshop, error) {
	e, err := enroll.NewEmbedder(m, dev)
	if err != nil {
		return nil, modelError(err)
	}
	w := &workshop{embedder: e, console: console}
	if err := w.gather(ctx, clips, negatives, seed); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// gather reads what a word is made of.
func (w *workshop) gather(ctx context.Context, clips, negatives []string, seed int64) (err error) {
	if w.background, err = w.embedder.Background(); err != nil {
		return err
	}
	if w.background == nil {
		if len(negatives) == 0 {
			return usageError("nothing is known of other sounds in this network, which is none of the embedded models': " +
				"--negatives must name some")
		}
		w.background = w.embedder.NewBackground()
	}
	if w.examples, err = w.embedder.Examples(ctx, clips, seed); err != nil {
		return err
	}
	for _, note := range w.examples.Notes {
		safe.Fprintf(w.console, "train: %s\n", note)
	}
	for _, folder := range negatives {
		err := w.embedder.AddSounds(ctx, w.background, &w.sound, w.examples, folder, func(err error) {
			safe.Fprintf(w.console, "train: skipped %v\n", err)
		})
		if err != nil {
			return fmt.Errorf("--negatives: %w", err)
		}
	}
	return nil
}

func (w *workshop) close() error {
	w.embedder.Close()
	return nil
}

// fewClips is how many clips of a word are too few to rely on.
const fewClips = 5

// fit makes the word.
func (w *workshop) fit(word string, share, running float64, seed int64) (err error) {
	if err := w.embedder.Surround(w.examples, &w.sound, seed); err != nil {
		return err
	}
	if w.word, err = enroll.Fit(word, w.examples, w.background, share, running); err != nil {
		return err
	}
	if w.word.Clips < fewClips {
		safe.Fprintf(w.console, "train: warning: %s of %s: words are found more surely with %d or more of several speakers\n",
			count(w.word.Clips, "clip"), word, fewClips)
	}
	return nil
}

// mostNear is how many of the words that are taken for another one are printed.
const mostNear = 5

// describe prints what is known of the word.
func (w *workshop) describe(out io.Writer) {
	word := w.word
	i := tuning.BinomialInterval(word.Found, word.Clips)
	if word.Clips > 1 {
		safe.Fprintf(out, "%s: %d of %s found, each by what the others make (95 %% interval: %.0f to %.0f %%)\n",
			word.Label, word.Found, count(word.Clips, "clip"), 100*i.Low, 100*i.High)
	}
	if word.Other == 0 {
		safe.Fprintf(w.console, "train: warning: there are no clips of other words: nothing says how many are taken for %s\n",
			word.Label)
		return
	}
	i = tuning.BinomialInterval(word.Taken, word.Other)
	safe.Fprintf(out, "%d of %s of other words taken for it (%.1f to %.1f %%)", word.Taken, count(word.Other, "clip"),
		100*i.Low, 100*i.High)
	for k, o := range word.Near[:min(len(word.Near), mostNear)] {
		lead := ", "
		if k == 0 {
			lead = ": "
		}
		safe.Fprintf(out, "%s%s %d of %d", lead, o.Word, o.Taken, o.Clips)
	}
	fmt.Fprintln(out)
}
