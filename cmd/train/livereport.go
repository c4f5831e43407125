package main

import (
	"fmt"
	"math"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/cmd/internal/progress"
	"github.com/polyphon/polyphon/internal/safe"
)

// reportDelay is how many seconds after a word's end, and the model's lookahead, it should have been reported.
const reportDelay = 0.25

// topNearMisses is how many rows of near misses are printed.
const topNearMisses = 15

// print prints the figures as tables, and the doubts as warnings.
func (r *liveReport) print(s program.Streams) error {
	for _, doubt := range r.Doubts {
		safe.Fprintf(s.Err, "train: warning: %s: the figures are rough\n", doubt)
	}
	p := r.OperatingPoint
	safe.Fprintf(s.Out, "threshold %.3g, smoothing %.3g s, minimum duration %.3g s\n",
		p.Threshold, p.Smoothing, p.MinDuration)
	for _, t := range []*table{r.alarmTable(), r.missTable(), r.labelTable(), r.nearMissTable()} {
		if len(t.rows) == 1 {
			continue
		}
		fmt.Fprintln(s.Out)
		if err := t.write(s.Out); err != nil {
			return err
		}
	}
	if more := len(r.NearMisses) - topNearMisses; more > 0 {
		safe.Fprintf(s.Out, "and %d more\n", more)
	}
	fmt.Fprintln(s.Out)
	if r.Delay == nil {
		fmt.Fprintln(s.Out, "no word was detected")
		return nil
	}
	safe.Fprintf(s.Out, "%s %% of the detected words were reported within %.0f ms after their end\n",
		percent(r.Delay.Percent, r.Words.Said-r.Words.Missed), 1000*r.Delay.Within)
	return nil
}

// alarmTable has the false alarms by sound: those that count, the total, and those among words.
func (r *liveReport) alarmTable() *table {
	t := &table{columns: "lrrdl"}
	t.row("false alarms", "time", "number", "an hour", "95 % interval")
	row := func(name string, a *alarmRate) {
		if a != nil {
			t.row(append([]string{name, progress.Duration(3600 * a.Hours)}, a.cells()...)...)
		}
	}
	for _, s := range r.Sounds {
		if s.judged {
			row(s.name(), s.FalseAlarms)
		}
	}
	row("in total", r.FalseAlarms)
	for _, s := range r.Sounds {
		if !s.judged {
			row("not in it: "+s.name(), s.FalseAlarms)
		}
	}
	return t
}

// cells returns the number, the rate and its interval.
func (a *alarmRate) cells() []string {
	rate := func(v float64) string { return perHour(v, a.Hours) }
	return []string{fmt.Sprint(a.Count), rate(a.PerHour), rate(a.Low) + " to " + rate(a.High)}
}

// name returns what the tables call the sound.
func (s soundRow) name() string {
	switch s.Kind {
	case "without_words":
		return s.Folder
	case "other_words":
		return "among " + count(s.OtherWords, "other word")
	case "cue_points":
		return "recordings with cue points"
	case "words":
		return "words one by one"
	}
	return "words without pauses"
}

// missTable has the misses by sound, and the delays.
func (r *liveReport) missTable() *table {
	t := &table{columns: "lrrdlr"}
	t.row("misses", "said", "missed", "%", "95 % interval", "delay ms, median", "delay ms, 95 %")
	row := func(name string, words *missShare, d *delays) {
		if words != nil {
			if d == nil {
				d = &delays{Median: math.NaN(), P95: math.NaN()}
			}
			t.row(append(append([]string{name}, words.cells()...), fixed(1000*d.Median, 1), fixed(1000*d.P95, 1))...)
		}
	}
	for _, s := range r.Sounds {
		row(s.name(), s.Words, s.Delay)
	}
	if len(t.rows) > 2 {
		row("in total", r.Words, r.Delay)
	}
	return t
}

// cells returns the numbers of words, the share and its interval.
func (m *missShare) cells() []string {
	p := func(v float64) string { return fixed(v, 100*binomialError(m.Percent/100, m.Said)) }
	return []string{fmt.Sprint(m.Said), fmt.Sprint(m.Missed), p(m.Percent), p(m.Low) + " to " + p(m.High)}
}

// labelTable has misses and false alarms by label, of the labels that have any or were said.
func (r *liveReport) labelTable() *table {
	t := &table{columns: "lrrdlrdl"}
	t.row("label", "said", "missed", "%", "95 % interval", "false alarms", "an hour", "95 % interval")
	for _, l := range r.Labels {
		if l.Words == nil && (l.FalseAlarms == nil || l.FalseAlarms.Count == 0) {
			continue
		}
		cells := []string{l.Label, "0", "-", "-", "-"}
		if l.Words != nil {
			cells = append(cells[:1], l.Words.cells()...)
		}
		if l.FalseAlarms != nil {
			cells = append(cells, l.FalseAlarms.cells()...)
		}
		t.row(cells...)
	}
	return t
}

// nearMissTable has the other words that begin most events.
func (r *liveReport) nearMissTable() *table {
	t := &table{columns: "lrlr"}
	t.row("other word", "said", "taken for", "times")
	for _, n := range r.NearMisses[:min(len(r.NearMisses), topNearMisses)] {
		t.row(n.Word, fmt.Sprint(n.Said), n.Label, fmt.Sprint(n.Events))
	}
	return t
}
