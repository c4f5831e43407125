package main

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/polyphon/polyphon/detect"
)

// thresholdFlag is a threshold of all labels, or thresholds by label.
type thresholdFlag struct {
	all     *float64
	byLabel map[string]float64
}

// otherLabels stands, in a thresholdFlag, for the labels that are not named.
const otherLabels = "*"

// UnmarshalText reads a number, or LABEL=P,... with * for the other labels. Commas and equals signs in labels are fine.
func (f *thresholdFlag) UnmarshalText(text []byte) error {
	*f = thresholdFlag{}
	if p, err := strconv.ParseFloat(string(text), 64); err == nil {
		f.all = &p
		return nil
	}
	rest := ""
	for part := range strings.SplitSeq(string(text), ",") {
		rest += part
		i := max(strings.LastIndex(rest, "="), 0)
		p, err := strconv.ParseFloat(strings.TrimPrefix(rest[i:], "="), 64)
		label := rest[:i]
		if err != nil || label == "" { // a comma of the label
			rest += ","
			continue
		}
		rest = ""
		if _, twice := f.byLabel[label]; twice || label == otherLabels && f.all != nil {
			return fmt.Errorf("%s has two thresholds", label)
		}
		if label == otherLabels {
			f.all = &p
			continue
		}
		if f.byLabel == nil {
			f.byLabel = map[string]float64{}
		}
		f.byLabel[label] = p
	}
	if rest != "" {
		return fmt.Errorf("%q is neither a number nor a list of LABEL=P", text)
	}
	return nil
}

// apply sets the thresholds of an operating point. Labels that are not named keep theirs, unless * says otherwise.
func (f *thresholdFlag) apply(c *detect.Config) {
	byLabel := map[string]float64{}
	if f.all != nil {
		c.Threshold = *f.all
	} else {
		maps.Copy(byLabel, c.Thresholds)
	}
	maps.Copy(byLabel, f.byLabel)
	c.Thresholds = byLabel
}

// least returns the threshold of a label; 0 where the flag says none.
func (f *thresholdFlag) least(label string) float64 {
	switch p, ok := f.byLabel[label]; {
	case ok:
		return p
	case f.all != nil:
		return *f.all
	}
	return 0
}

// labelSet is labels of interest; nil stands for all.
type labelSet map[string]bool

func (s labelSet) has(label string) bool { return s == nil || s[label] }

// newLabelSet returns the labels in a list with commas between, and within where labels have some; all for "".
func newLabelSet(list string, labels []string) (labelSet, error) {
	if list == "" {
		return nil, nil
	}
	set := labelSet{}
	for list != "" {
		found := ""
		for _, label := range labels {
			if (list == label || strings.HasPrefix(list, label+",")) && len(label) > len(found) {
				found = label
			}
		}
		if found == "" {
			name, _, _ := strings.Cut(list, ",")
			return nil, fmt.Errorf("--only %s: the labels are %s", name, strings.Join(labels, ", "))
		}
		set[found] = true
		list = strings.TrimPrefix(list[len(found):], ",")
	}
	return set, nil
}
