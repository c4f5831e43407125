package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/polyphon/polyphon/training"
)

// print prints an evaluation, whose clips in context are parts of so many seconds of sound.
func (c *evalCmd) print(w io.Writer, e evaluation, seconds float64) error {
	if err := printReport(w, e.Report); err != nil || !c.Context {
		return err
	}
	fmt.Fprintf(w, "\nin noise %g dB below the clip:\n\naccuracy  %.2f %%\nNLL       %.4f\n",
		c.Noise, e.InNoise.Accuracy, e.InNoise.NLL)
	fmt.Fprintf(w, "\nin the middle of %g seconds of other sound, in noise %g dB below the clip:\n\n", seconds, c.Noise)
	return printReport(w, e.InContext)
}

func printReport(w io.Writer, r *training.Report) error {
	fmt.Fprintf(w, "accuracy  %.2f %%\nNLL       %.4f\nclips     %d", r.Accuracy, r.NLL, r.Clips)
	if r.Skipped > 0 {
		fmt.Fprintf(w, " (%d unreadable ones skipped)", r.Skipped)
	}
	fmt.Fprint(w, "\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "label\tclips\tprecision\trecall\t")
	for _, c := range r.Classes {
		fmt.Fprintf(t, "%s\t%d\t%.3f\t%.3f\t\n", c.Label, c.Clips, c.Precision, c.Recall)
	}
	fmt.Fprint(t, "\ntruth \\ answer\t")
	for _, c := range r.Classes {
		fmt.Fprintf(t, "%s\t", c.Label)
	}
	fmt.Fprintln(t)
	for i, row := range r.Confusion {
		fmt.Fprintf(t, "%s\t", r.Classes[i].Label)
		for _, n := range row {
			fmt.Fprintf(t, "%d\t", n)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
