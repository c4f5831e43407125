package report

import (
	"encoding/base64"
	"fmt"
	"html/template"
	"os"
	"strconv"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/features"
)

// studio makes what the page has of single clips.
type studio struct {
	f         *folder
	in        *Input
	p         calibrate.Probabilities
	extractor *features.Extractor
	centres   []float64 // of the mels, in hertz
}

// show writes clip i's files and returns it: its sound, and what in it speaks for the answer and against the label or,
// where these are the same, against the second likeliest label.
func (s *studio) show(name string, i int) (*clip, error) {
	samples, err := s.in.Samples(i)
	if err != nil {
		return nil, err
	}
	sound, err := s.sound(name, samples)
	if err != nil {
		return nil, err
	}
	labels, truth, row := s.in.Model.Labels, s.p.Truth[i], s.p.Row(i)
	class, confidence := answer(s.p, i)
	against := truth
	c := &clip{ID: name, Name: s.in.Names[i], Sound: sound}
	c.Title = fmt.Sprintf("%s, taken for %s", labels[truth], labels[class])
	c.Text = fmt.Sprintf("Probability of the answer %s: %s %%, of the label %s: %s %%.",
		labels[class], percent(confidence), labels[truth], percent(row[truth]))
	if class == truth {
		against = second(row, class)
		c.Title = labels[truth] + ", classified right"
		c.Text = fmt.Sprintf("Probability of %s: %s %%, of %s, the second: %s %%.",
			labels[truth], percent(confidence), labels[against], percent(row[against]))
	}
	rows := s.extractor.Rows(nil, samples, s.extractor.Scratch())
	e := explain(s.in.Network, s.in.Model, rows, class, against)
	rank := "not defined"
	if e.Rank == e.Rank {
		rank = strconv.FormatFloat(e.Rank, 'f', 2, 64)
	}
	c.Text += fmt.Sprintf(" Logarithm of the odds of %s against %s: %.2f; rank correlation of gradient times input "+
		"with occlusion over %d patches: %s.", labels[class], labels[against], e.Score, len(e.Occlusion), rank)
	alt := fmt.Sprintf("Over time and frequency: log-mel energies, and what in them speaks for %s and against %s by "+
		"gradient times input and by occlusion; rank correlation of the two: %s.", labels[class], labels[against], rank)
	if err := s.table(name, e); err != nil {
		return nil, err
	}
	c.Picture, err = clipChart(name, alt, e, s.in.Model.Features, s.centres).write(s.f)
	return c, err
}

// second returns the likeliest class but one.
func second(row []float64, first int) int {
	best := -1
	for c, p := range row {
		if c != first && (best < 0 || p > row[best]) {
			best = c
		}
	}
	return best
}

// sound writes a WAV file and returns the same as a URL.
func (s *studio) sound(name string, samples []float32) (template.URL, error) {
	path := s.f.path(name + ".wav")
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	c := audio.Clip{Rate: s.in.Model.Features.Rate, Samples: samples}
	if err := audio.WriteWAV(file, c, audio.Tags{}); err != nil {
		return "", err
	}
	bytes, err := os.ReadFile(path)
	return template.URL("data:audio/wav;base64," + base64.StdEncoding.EncodeToString(bytes)), err
}

// table writes the numbers of an explanation.
func (s *studio) table(name string, e *explanation) error {
	var rows [][]string
	for t := range e.Frames {
		for k := range e.Mels {
			i := t*e.Mels + k
			rows = append(rows, []string{
				number(float64(t) / s.in.Model.Features.FramesPerSecond()), number(s.centres[k]),
				number(float64(e.Rows[i])), number(e.Product[i]), number(e.lost(t, k)),
			})
		}
	}
	return s.f.table(name+".csv", []string{"seconds", "hertz", "log_mel", "gradient_times_input", "occlusion"}, rows)
}
