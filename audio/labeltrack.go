package audio

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// LabelTrack returns the labels of a label track of Audacity, sorted by their starts: a line for each, of start and end
// in seconds and the label, with tabs between. Lines that begin with a backslash, which state frequencies, and empty
// ones are passed over, and decimal commas are read.
//
// A text whose first line does not begin with two numbers is no label track and gives nothing. Errors: ErrCorrupt for a
// later line of that kind and one that ends before it starts or is not at a time from 0 s on, ErrTooLong for more than
// 16 MiB, and r's own.
func LabelTrack(r io.Reader) (cues []Cue, err error) {
	limited := &io.LimitedReader{R: r, N: maxCueBytes + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimPrefix(strings.TrimRight(lines.Text(), "\r"), "\uFEFF")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, `\`) {
			continue
		}
		cue, timed, ok := parseLabel(line)
		if !timed && len(cues) == 0 {
			return nil, nil
		}
		if !ok {
			return nil, fmt.Errorf("%w: line %d of the label track is no start, end and label: %.80q", ErrCorrupt, n, line)
		}
		cues = append(cues, cue)
	}
	if limited.N == 0 {
		return nil, fmt.Errorf("%w: a label track of more than %d MiB", ErrTooLong, maxCueBytes>>20)
	}
	slices.SortStableFunc(cues, func(a, b Cue) int { return cmp.Compare(a.Start, b.Start) })
	if err = lines.Err(); err == bufio.ErrTooLong && len(cues) == 0 {
		return nil, nil // a text of another kind
	}
	return cues, err
}

// parseLabel parses a line of a label track. timed reports whether it begins with two numbers, ok whether these can be
// a start and an end.
func parseLabel(line string) (c Cue, timed, ok bool) {
	fields := strings.SplitN(line, "\t", 3)
	if len(fields) < 2 {
		return c, false, false
	}
	ok = true
	for i, seconds := range []*float64{&c.Start, &c.End} {
		v, err := strconv.ParseFloat(strings.Replace(strings.TrimSpace(fields[i]), ",", ".", 1), 64)
		if err != nil {
			return c, false, false
		}
		*seconds, ok = v, ok && v >= 0 && v < 1e9
	}
	if len(fields) == 3 {
		c.Label = strings.TrimSpace(fields[2])
	}
	return c, true, ok && c.End >= c.Start
}
