package main

import (
	"fmt"
	"io"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/polynet"
)

// bootstrapRounds are the samples of clips that intervals are taken from.
const bootstrapRounds = 500

// reliability is how well a model's probabilities agree with how often it is right. Figures named in training.Report
// are left to it. All but nll, brier, temperature and set_size are in percent.
type reliability struct {
	ECE          float64           `json:"ece"`
	AdaptiveECE  float64           `json:"adaptive_ece"`
	ClasswiseECE float64           `json:"classwise_ece"`
	MCE          float64           `json:"mce"`
	Brier        float64           `json:"brier"`
	Temperature  float64           `json:"temperature"`
	Coverage     *float64          `json:"coverage,omitempty"` // of sets that are asked for 95 %; none are stored: missing
	SetSize      *float64          `json:"set_size,omitempty"` // labels in such a set, on average
	Sets         []coverage        `json:"sets,omitempty"`     // of several coverages
	Intervals    map[string]ends   `json:"intervals"`          // that figures lie in with 95 % confidence, by their names
	Uncalibrated *uncalibrated     `json:"uncalibrated"`       // the same without temperature and calibration
	calibrated   calibrate.Metrics // for print
}

// ends are a calibrate.Interval as a list of two numbers.
type ends [2]float64

type uncalibrated struct {
	calibrate.Metrics
	Intervals map[string]ends `json:"intervals"`
}

// coverage says how prediction sets keep their promise.
type coverage struct {
	Asked float64 `json:"asked"` // percent
	Found float64 `json:"found"` // percent
	Size  float64 `json:"size"`  // labels in a set, on average
}

// setLevels are the coverages that are measured; the last one is the field Coverage.
var setLevels = []float64{0.9, 0.95}

// measureReliability measures a model on the logits of clips before calibration.
func measureReliability(m *polynet.Model, raw calibrate.Logits) *reliability {
	p := raw.Map(calibrate.Answer(m))
	after := calibrate.Measure(p)
	r := &reliability{
		ECE: after.ECE, AdaptiveECE: after.AdaptiveECE, ClasswiseECE: after.ClasswiseECE, MCE: after.MCE,
		Brier: after.Brier, Temperature: m.Temperature, Intervals: intervals(p), calibrated: after,
	}
	before := raw.Probabilities(1)
	r.Uncalibrated = &uncalibrated{calibrate.Measure(before), intervals(before)}
	if sets := m.Calibrated().Sets; sets != nil {
		for _, level := range setLevels {
			found, size := calibrate.Coverage(p, sets, level)
			found *= 100
			r.Sets = append(r.Sets, coverage{100 * level, found, size})
			r.Coverage, r.SetSize = &found, &size
		}
	}
	return r
}

// metricNames are the names of calibrate.Metrics' fields in JSON, in their order.
var metricNames = []string{"accuracy", "ece", "adaptive_ece", "classwise_ece", "mce", "nll", "brier"}

func metricValues(m calibrate.Metrics) []float64 {
	return []float64{m.Accuracy, m.ECE, m.AdaptiveECE, m.ClasswiseECE, m.MCE, m.NLL, m.Brier}
}

// intervals returns those of all metrics.
func intervals(p calibrate.Probabilities) map[string]ends {
	list := calibrate.Bootstrap(p, bootstrapRounds, 1, func(p calibrate.Probabilities) []float64 {
		return metricValues(calibrate.Measure(p))
	})
	named := make(map[string]ends, len(list))
	for i, interval := range list {
		named[metricNames[i]] = ends{interval.Low, interval.High}
	}
	return named
}

// print prints how reliable the probabilities are, before and after calibration.
func (r *reliability) print(w io.Writer) error {
	fmt.Fprintln(w)
	t := table{columns: "ldldl"}
	for _, row := range r.rows() {
		t.row(row...)
	}
	if err := t.write(w); err != nil {
		return err
	}
	for _, sentence := range r.setSentences() {
		safe.Fprintf(w, "%s\n", sentence)
	}
	return nil
}

// setSentences say how prediction sets keep their promise.
func (r *reliability) setSentences() (list []string) {
	for _, s := range r.Sets {
		list = append(list, fmt.Sprintf(
			"sets of %g %%: hold the label in %.1f %%, %.2f labels on average", s.Asked, s.Found, s.Size))
	}
	return list
}

// rows returns the table of figures before and after calibration, its head first.
func (r *reliability) rows() [][]string {
	rows := [][]string{{"calibration", "before", "95 % interval", "after", "95 % interval"}}
	before, after := metricValues(r.Uncalibrated.Metrics), metricValues(r.calibrated)
	for i, name := range []string{
		"accuracy, %", "ECE, %", "adaptive ECE, %", "classwise ECE, %", "MCE, %", "NLL", "Brier",
	} {
		row := []string{name}
		for _, f := range []struct {
			value float64
			in    ends
		}{
			{before[i], r.Uncalibrated.Intervals[metricNames[i]]}, {after[i], r.Intervals[metricNames[i]]},
		} {
			deviation := (f.in[1] - f.in[0]) / 4
			row = append(row, fixed(f.value, deviation), fixed(f.in[0], deviation)+" to "+fixed(f.in[1], deviation))
		}
		rows = append(rows, row)
	}
	return append(rows, []string{"temperature", "1", "", fmt.Sprintf("%.3g", r.Temperature), ""})
}
