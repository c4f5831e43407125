package report

import (
	"fmt"
	"strconv"

	"github.com/polyphon/polyphon/calibrate"
)

func percent(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) }

// interval formats a share, and the interval it lies in, in percent.
func (s share) cells() (value, interval string) {
	if s.Of == 0 {
		return "–", "–"
	}
	return percent(s.Value), percent(s.Low) + " to " + percent(s.High)
}

// learning shows the epochs of the training.
func (p *page) learning(f *folder, in *Input, _ calibrate.Probabilities) (err error) {
	if len(in.History) == 0 {
		return nil
	}
	var rows [][]string
	for _, e := range in.History {
		rows = append(rows, []string{
			strconv.Itoa(e.Epoch), number(e.Rate), number(e.Loss), number(e.TrainAccuracy), number(e.ValidAccuracy),
			number(e.ValidNLL), strconv.FormatBool(e.Best),
		})
	}
	head := []string{"epoch", "rate", "loss", "train_accuracy", "valid_accuracy", "valid_nll", "best"}
	if err := f.table("learning.csv", head, rows); err != nil {
		return err
	}
	p.Learning, err = historyChart(in.History).write(f)
	return err
}

// confusions shows the labels' figures and which are taken for which.
func (p *page) confusions(f *folder, in *Input, after calibrate.Probabilities) (err error) {
	labels, counts := in.Model.Labels, confusion(after)
	p.Classes = table{
		ID: "label-figures", Caption: "Precision and recall of each label, in percent, with 95 % intervals",
		Head: []string{"label", "clips", "precision", "interval", "recall", "interval"},
	}
	var rows [][]string
	for _, c := range classesOf(labels, counts) {
		precision, precisionRange := c.Precision.cells()
		recall, recallRange := c.Recall.cells()
		p.Classes.Rows = append(p.Classes.Rows, []string{
			c.Label, strconv.Itoa(c.Clips), precision, precisionRange, recall, recallRange,
		})
		rows = append(rows, []string{
			in.Field(c.Label), strconv.Itoa(c.Clips), strconv.Itoa(c.Precision.Of),
			number(c.Precision.Value), number(c.Precision.Low), number(c.Precision.High),
			number(c.Recall.Value), number(c.Recall.Low), number(c.Recall.High),
		})
	}
	head := []string{
		"label", "clips", "answers", "precision", "precision_low", "precision_high", "recall", "recall_low", "recall_high",
	}
	if err := f.table("labels.csv", head, rows); err != nil {
		return err
	}
	const shown = 20
	p.Mistakes = table{
		ID: "mistakes", Caption: "The most frequent mistakes", Texts: 1,
		Head: []string{"label", "answer", "clips", "of the label's, %"},
	}
	for _, m := range mistakes(counts, shown) {
		p.Mistakes.Rows = append(p.Mistakes.Rows, []string{
			labels[m.Truth], labels[m.Answer], strconv.Itoa(m.Clips), percent(m.Share),
		})
	}
	if len(labels) > maxMatrix {
		return nil
	}
	rows, head = nil, []string{`label \ answer`}
	for i, row := range counts {
		cells := []string{in.Field(labels[i])}
		head = append(head, cells[0])
		for _, k := range row {
			cells = append(cells, strconv.Itoa(k))
		}
		rows = append(rows, cells)
	}
	if err := f.table("confusion.csv", head, rows); err != nil {
		return err
	}
	p.Matrix, err = confusionChart(labels, counts).write(f)
	return err
}

// reliability shows how confidences agree with how often answers are right.
func (p *page) reliability(f *folder, in *Input, after calibrate.Probabilities) (err error) {
	before := in.Raw.Probabilities(1)
	bins := [2][]calibrate.Bin{calibrate.Reliability(before), calibrate.Reliability(after)}
	p.Bins = table{
		ID: "bins", Caption: "Clips by confidence, before and after calibration",
		Head: []string{
			"confidence, %", "clips before", "mean confidence, %", "right, %", "clips after", "mean confidence, %", "right, %",
		},
	}
	var rows [][]string
	for k := range bins[0] {
		row := []string{percent(bins[0][k].Low) + " to " + percent(bins[0][k].High)}
		for i, name := range []string{"before", "after"} {
			b := bins[i][k]
			confidence, right := "–", "–"
			if b.Count > 0 {
				confidence, right = percent(b.Confidence), percent(b.Accuracy)
			}
			row = append(row, strconv.Itoa(b.Count), confidence, right)
			rows = append(rows, []string{
				name, number(b.Low), number(b.High), strconv.Itoa(b.Count), number(b.Confidence), number(b.Accuracy),
				strconv.Itoa(rightOf(b)),
			})
		}
		p.Bins.Rows = append(p.Bins.Rows, row)
	}
	head := []string{"calibration", "low", "high", "clips", "confidence", "accuracy", "right"}
	if err := f.table("reliability.csv", head, rows); err != nil {
		return err
	}
	ece := [2]float64{calibrate.Measure(before).ECE, calibrate.Measure(after).ECE}
	if p.Reliability, err = reliabilityChart(bins[0], bins[1], ece[0], ece[1]).write(f); err != nil {
		return err
	}
	p.Confidence, err = histogramChart(bins[1]).write(f)
	return err
}

// risk shows what refusing to answer where the confidence is small would give.
func (p *page) risk(f *folder, _ *Input, after calibrate.Probabilities) (err error) {
	curve, area := riskCoverage(after)
	p.RiskArea = strconv.FormatFloat(100*area, 'f', 2, 64)
	p.Coverage = table{
		ID: "coverage", Caption: "How many clips can be answered",
		Head: []string{"wrong at most, %", "clips that are answered, %", "smallest confidence, %"},
	}
	for _, limit := range []float64{0.001, 0.01, 0.02, 0.05, 0.1} {
		row := []string{strconv.FormatFloat(100*limit, 'g', -1, 64), "0.0", "–"}
		if q, ok := coverageAt(curve, limit); ok {
			row[1], row[2] = percent(q.Coverage), percent(q.Confidence)
		}
		p.Coverage.Rows = append(p.Coverage.Rows, row)
	}
	var rows [][]string
	for _, q := range thin(curve, points) {
		rows = append(rows, []string{number(q.Confidence), number(q.Coverage), number(q.Risk)})
	}
	if err := f.table("risk.csv", []string{"confidence", "coverage", "risk"}, rows); err != nil {
		return err
	}
	p.Risk, err = riskChart(curve, area).write(f)
	return err
}

// detection shows how words are told from all else.
func (p *page) detection(f *folder, in *Input, after calibrate.Probabilities) (err error) {
	curve, equal, words, others := detection(after, in.Model.Labels)
	if curve == nil {
		p.DetectionText = fmt.Sprintf("There is no such curve: %d of the clips are of words, %d are of _unknown_ or "+
			"_silence_.", words, others)
		return nil
	}
	p.DetectionText = fmt.Sprintf("%d clips of words, %d of _unknown_ or _silence_; a clip counts as a word where the "+
		"probabilities of all words together reach a threshold. Equal error rate: %.2f %%.", words, others, 100*equal)
	var rows [][]string
	for _, q := range thin(curve, points) {
		rows = append(rows, []string{number(q.Threshold), number(q.FalseAlarm), number(q.Miss)})
	}
	if err := f.table("det.csv", []string{"threshold", "false_alarms", "misses"}, rows); err != nil {
		return err
	}
	p.Detection, err = detectionChart(curve, equal, words, others).write(f)
	return err
}
