package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/polyphon/polyphon/polynet"
)

// textReport writes a readable line a file. Of a long one it tells each event, or, where it is heard in windows, the one with the
// likeliest word.
type textReport struct {
	out     *bufio.Writer
	column  int // where the labels begin
	summary summary

	events  int // of the present file
	windows int // of it
	best    polynet.Window
	length  float64 // seconds
}

// widestName bounds the column of the file names.
const widestName = 60

func newTextReport(out io.Writer, j *job, inputs []input) *textReport {
	r := &textReport{out: bufio.NewWriter(out), summary: j.constants}
	for _, in := range inputs {
		r.column = max(r.column, min(utf8.RuneCountInString(in.name), widestName))
	}
	return r
}

func (r *textReport) window(_ string, w polynet.Window) {
	if r.windows == 0 || stronger(w, r.best) {
		r.best = w
	}
	r.windows++
	r.length = w.End
}

// stronger reports whether a says more than b: words say more than the background, then the likelier label.
func stronger(a, b polynet.Window) bool {
	if a.Background() != b.Background() {
		return b.Background()
	}
	return a.Scores[0].P > b.Scores[0].P
}

func (r *textReport) detection(d detection) {
	r.events++
	fmt.Fprintf(r.out, "%-*s  %s %.1f %%  at %.2f-%.2f s\n", r.column, printable(d.File), d.Label, 100*d.P, d.Start, d.End)
}

func (r *textReport) end(file string, o outcome) {
	defer r.forget()
	if r.windows == 0 {
		if r.events == 0 {
			fmt.Fprintf(r.out, "%-*s  no events in %.2f s\n", r.column, printable(file), o.length)
		}
		return
	}
	fmt.Fprintf(r.out, "%-*s", r.column, printable(file))
	for i, s := range r.best.Scores {
		separator := ", "
		if i == 0 {
			separator = "  "
		}
		fmt.Fprintf(r.out, "%s%s %.1f %%", separator, s.Label, 100*s.P)
	}
	if r.windows > 1 {
		fmt.Fprintf(r.out, "  at %.2f-%.2f s of %.2f s (%d windows of %v s, hop %v s)",
			r.best.Start, r.best.End, r.length, r.windows, r.summary.Window, r.summary.Hop)
	}
	r.out.WriteByte('\n')
}

func (r *textReport) forget() { r.windows, r.events = 0, 0 }

func (r *textReport) fail(string, error)  { r.forget() }
func (r *textReport) flush() error        { return r.out.Flush() }
func (r *textReport) close(summary) error { return r.out.Flush() }

// printable quotes a name that would not stay on its line.
func printable(name string) string {
	if strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name) {
		return strconv.Quote(name)
	}
	return name
}
