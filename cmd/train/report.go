package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/training"
)

// print prints an evaluation, whose clips in context are parts of so many seconds of sound.
func (c *evalCmd) print(w io.Writer, e evaluation, seconds float64) error {
	if err := printReport(w, e.Report); err != nil {
		return err
	}
	if err := e.reliability.print(w); err != nil || !c.Context {
		return err
	}
	safe.Fprintf(w, "\nin noise %g dB below the clip:\n\n", c.Noise)
	printFigures(w, e.InNoise)
	safe.Fprintf(w, "\nin the middle of %g seconds of other sound, in noise %g dB below the clip:\n\n", seconds, c.Noise)
	return printReport(w, e.InContext)
}

func printFigures(w io.Writer, r *training.Report) {
	safe.Fprintf(w, "accuracy  %s %%\nNLL       %s\n", percent(r.Accuracy, r.Clips), nats(r.NLL, r.Clips))
}

func printReport(w io.Writer, r *training.Report) error {
	printFigures(w, r)
	safe.Fprintf(w, "clips     %d", r.Clips)
	if r.Skipped > 0 {
		safe.Fprintf(w, " (%d unreadable ones skipped)", r.Skipped)
	}
	fmt.Fprint(w, "\n\n")
	classes := table{columns: "lrdd"}
	classes.row("label", "clips", "precision", "recall")
	confusion := table{columns: "lr"}
	heads := []string{`truth \ answer`}
	for _, c := range r.Classes {
		heads = append(heads, c.Label)
	}
	confusion.row(heads...)
	for i, c := range r.Classes {
		predicted, counts := 0, []string{c.Label}
		for j, n := range r.Confusion[i] {
			predicted += r.Confusion[j][i]
			counts = append(counts, strconv.Itoa(n))
		}
		classes.row(c.Label, strconv.Itoa(c.Clips), share(c.Precision, predicted), share(c.Recall, c.Clips))
		confusion.row(counts...)
	}
	if err := classes.write(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return confusion.write(w)
}
