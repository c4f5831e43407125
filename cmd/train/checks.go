package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/polynet"
)

// checkLog returns an error where --log must not, or cannot, be written to: before the training, and without a change
// to the file. A log of an earlier run is replaced.
func (c *fitCmd) checkLog() error {
	if c.Log == "" {
		return nil
	}
	for _, other := range []string{c.Out, c.checkpoint()} {
		if filepath.Clean(c.Log) == filepath.Clean(other) {
			return fmt.Errorf("--log %s: the run writes its model or checkpoint there", c.Log)
		}
	}
	if err := atomicfile.Check(c.Log); err != nil {
		return fmt.Errorf("--log: %w", err)
	}
	info, err := os.Stat(c.Log)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || info.Size() == 0) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.Open(c.Log)
	if err != nil {
		return err
	}
	defer f.Close()
	columns := strings.Join(logColumns[:3], ",")
	if begin, _ := bufio.NewReader(f).Peek(len(columns)); string(begin) != columns {
		return fmt.Errorf("--log %s: the file is no log of train fit, and would be overwritten; name another one",
			c.Log)
	}
	return nil
}

// checkLabels returns notes about labels that are awkward, and an error where one cannot be a model's.
func checkLabels(labels []string) (notes []string, err error) {
	for _, label := range labels {
		switch {
		case !utf8.ValidString(label):
			return nil, fmt.Errorf("%w: the label %q is not UTF-8; rename its folder", datasets.ErrNoData, label)
		case len(label) > polynet.MaxLabel:
			return nil, fmt.Errorf("%w: the label %.40q… has %d bytes, at most %d are possible; rename its folder or cue points",
				datasets.ErrNoData, label, len(label), polynet.MaxLabel)
		case strings.ContainsFunc(label, unicode.IsControl):
			return nil, fmt.Errorf("%w: the label %q has control characters; rename its folder or cue points",
				datasets.ErrNoData, label)
		case strings.TrimSpace(label) != label:
			notes = append(notes, fmt.Sprintf("the label %q begins or ends with a space", label))
		case strings.ContainsAny(label, `,\`):
			notes = append(notes, fmt.Sprintf("the label %s has to be written %s in lists such as --words",
				label, strings.NewReplacer(`,`, `\,`, `\`, `\\`).Replace(label)))
		}
	}
	return notes, nil
}

// lengthNote says that the window does not fit some clips.
func lengthNote(l datasets.Lengths) string {
	clips, them := fmt.Sprintf("%d of %d clips are", l.Longer, l.Clips), "they are"
	if l.Longer == 1 {
		clips, them = fmt.Sprintf("1 of %d clips is", l.Clips), "it is"
	}
	return fmt.Sprintf("%s longer than the window of %g s, the longest %s with %.1f s: %s used in parts; "+
		"--window sets another", clips, l.Window(), l.Path, l.Longest, them)
}
