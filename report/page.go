package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strconv"
	"time"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/features"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	style string
	//go:embed page.js
	script string

	pageTemplate = template.Must(template.New("page").Parse(pageText))
)

// page is what page.html shows.
type page struct {
	Title   string
	Policy  string // the content security policy: nothing but this style and script, and what is in the page itself
	Style   template.CSS
	Script  template.JS
	Facts   [][2]string
	Notes   []string
	Figures table

	Learning       *picture // nil: there is no history
	LearningSource string

	Classes  table
	Matrix   *picture // nil: too many labels
	Mistakes table

	Reliability *picture
	Confidence  *picture
	Bins        table

	Risk     *picture
	RiskArea string
	Coverage table

	Detection     *picture // nil: no words, or nothing else
	DetectionText string

	Errors     []clip
	ErrorsText string
	Typical    *clip // nil: none is right

	Files []string
}

// table is a table whose rows begin with their heads.
type table struct {
	ID      string
	Caption string
	Head    []string
	Rows    [][]string
	Texts   int // columns after the first one that are no numbers
}

// clip is a recording with what the model makes of it.
type clip struct {
	ID      string
	Title   string
	Name    string
	Text    string
	Sound   template.URL
	Picture *picture
}

// newPage makes the page, and writes the files beside it.
func newPage(f *folder, in *Input) (*page, error) {
	after := in.Raw.Map(calibrate.Answer(in.Model))
	p := &page{
		Title: "Report on " + in.Name, Style: template.CSS(style), Script: template.JS(script), Notes: in.Notes,
		Facts: [][2]string{
			{"model", in.Name}, {"recordings", in.Data}, {"split", in.Split}, {"clips", strconv.Itoa(in.Raw.Len())},
			{"labels", strconv.Itoa(len(in.Model.Labels))}, {"temperature", fmt.Sprintf("%.3g", in.Model.Temperature)},
			{"made", in.Made.UTC().Format(time.RFC3339)},
		},
		LearningSource: in.HistorySource,
	}
	p.Policy = "default-src 'none'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'; " +
		"style-src " + hash(style) + "; script-src " + hash(script)
	if len(in.Figures) > 0 {
		p.Figures = table{
			ID: "figures", Caption: "Metrics before and after calibration", Head: in.Figures[0], Rows: in.Figures[1:],
		}
	}
	for _, section := range []func(*folder, *Input, calibrate.Probabilities) error{
		p.learning, p.confusions, p.reliability, p.risk, p.detection, p.clips,
	} {
		if err := section(f, in, after); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// hash returns the source of a content security policy that allows this text.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// write writes index.html and returns its size in bytes.
func (p *page) write(f *folder) (int, error) {
	p.Files = f.names
	var text bytes.Buffer
	if err := pageTemplate.Execute(&text, p); err != nil {
		return 0, err
	}
	return text.Len(), f.write("index.html", text.Bytes())
}

// clips shows the worst errors, and a typical clip that is classified right.
func (p *page) clips(f *folder, in *Input, after calibrate.Probabilities) error {
	extractor, err := features.New(in.Model.Features)
	if err != nil {
		return err
	}
	s := &studio{f: f, in: in, p: after, extractor: extractor, centres: centresOf(extractor)}
	shown, all := worst(after, in.Worst)
	p.ErrorsText = fmt.Sprintf("%d of %d clips are classified wrongly.", all, after.Len())
	if len(shown) < all {
		p.ErrorsText += fmt.Sprintf(" These are the %d whose label was thought least likely.", len(shown))
	}
	var rows [][]string
	for k, i := range shown {
		c, err := s.show(fmt.Sprintf("error-%03d", k+1), i)
		if err != nil {
			return err
		}
		c.Title = fmt.Sprintf("%d. %s", k+1, c.Title)
		p.Errors = append(p.Errors, *c)
		class, confidence := answer(after, i)
		rows = append(rows, []string{
			in.Field(in.Names[i]), in.Field(in.Model.Labels[after.Truth[i]]), in.Field(in.Model.Labels[class]),
			number(confidence), number(after.Row(i)[after.Truth[i]]),
		})
	}
	if i := typical(after); i >= 0 {
		if p.Typical, err = s.show("typical", i); err != nil {
			return err
		}
	}
	return f.table("errors.csv", []string{"clip", "label", "answer", "confidence", "label_probability"}, rows)
}
