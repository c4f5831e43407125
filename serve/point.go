package serve

import (
	"fmt"
	"maps"

	"github.com/polyphon/polyphon/detect"
)

// point is the part of an operating point that clients choose.
type point struct {
	threshold float64
	byLabel   map[string]float64
}

// with returns the point with other thresholds. Those of labels stay, unless there is one for all.
func (p point) with(thresholds map[string]float64, labels []string) (point, error) {
	if all, ok := thresholds["*"]; ok {
		p = point{threshold: all}
	}
	byLabel := maps.Clone(p.byLabel)
	for label, threshold := range thresholds {
		if label == "*" {
			continue
		}
		if byLabel == nil {
			byLabel = map[string]float64{}
		}
		byLabel[label] = threshold
	}
	p.byLabel = byLabel
	return p, p.check(labels)
}

// check returns an error that wraps ErrRequest where the point makes no sense for the labels.
func (p point) check(labels []string) error {
	c := detect.Default(1)
	c.Threshold, c.Thresholds = p.threshold, p.byLabel
	if err := c.Validate(labels); err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return nil
}
