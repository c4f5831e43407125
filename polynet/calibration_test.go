package polynet_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/polynet"
)

// calibrated returns testModel with every part of a calibration.
func calibrated() *polynet.Model {
	m := testModel()
	c := &confidence.Calibration{
		Scaling: new(confidence.Scaling), Sets: &confidence.Sets{Score: confidence.APS},
		Unknown:   &confidence.Unknown{Score: confidence.MaxLogit, Threshold: -1, Slope: 2},
		Reference: &confidence.Reference{Tolerance: 0.2},
	}
	for i := range m.Labels {
		c.Scaling.Scale = append(c.Scaling.Scale, 0.5+float64(i))
		c.Scaling.Shift = append(c.Scaling.Shift, 1/float64(i+1))
		c.Sets.Quantiles = append(c.Sets.Quantiles, make([]float64, len(confidence.Levels)))
		c.Reference.Limits = append(c.Reference.Limits, []float64{0.1, -5, 20})
	}
	m.Calibration = c
	return m
}

func TestCalibrationIsStored(t *testing.T) {
	for _, want := range []*polynet.Model{testModel(), calibrated()} {
		var file bytes.Buffer
		if err := want.Write(&file); err != nil {
			t.Fatal(err)
		}
		if said := bytes.Contains(file.Bytes(), []byte(`"calibration"`)); said != (want.Calibration != nil) {
			t.Errorf("a calibration is in the file: %v, in the model: %+v", said, want.Calibration)
		}
		got, err := polynet.Read(&file)
		if err != nil || !reflect.DeepEqual(got.Calibration, want.Calibration) {
			t.Errorf("calibration %+v, error %v; want %+v", got.Calibration, err, want.Calibration)
		}
	}
}

func TestCalibrationIsChecked(t *testing.T) {
	for name, spoil := range map[string]func(c *confidence.Calibration){
		"scales of other classes": func(c *confidence.Calibration) { c.Scaling.Scale = c.Scaling.Scale[1:] },
		"shift is NaN":            func(c *confidence.Calibration) { c.Scaling.Shift[0] = math.NaN() },
		"no score of sets":        func(c *confidence.Calibration) { c.Sets.Score = "other" },
		"sets of other classes":   func(c *confidence.Calibration) { c.Sets.Quantiles = c.Sets.Quantiles[1:] },
		"falling quantiles":       func(c *confidence.Calibration) { c.Sets.Quantiles[0][0] = 1 },
		"too few quantiles":       func(c *confidence.Calibration) { c.Sets.Quantiles[0] = nil },
		"no score of unknowns":    func(c *confidence.Calibration) { c.Unknown.Score = "" },
		"slope of 0":              func(c *confidence.Calibration) { c.Unknown.Slope = 0 },
		"no tolerance":            func(c *confidence.Calibration) { c.Reference.Tolerance = 0 },
		"all tolerance":           func(c *confidence.Calibration) { c.Reference.Tolerance = 1 },
		"limits of other classes": func(c *confidence.Calibration) { c.Reference.Limits = c.Reference.Limits[1:] },
		"too few limits":          func(c *confidence.Calibration) { c.Reference.Limits[0] = []float64{1, 2} },
		"a limit is NaN":          func(c *confidence.Calibration) { c.Reference.Limits[0][2] = math.NaN() },
		"infinite threshold":      func(c *confidence.Calibration) { c.Unknown.Threshold = math.Inf(1) },
	} {
		m := calibrated()
		spoil(m.Calibration)
		if err := m.Validate(); !errors.Is(err, polynet.ErrModel) || !errors.Is(err, confidence.ErrConfig) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestScalingIsInTheProgram compares the head of the inference program with the definition.
func TestScalingIsInTheProgram(t *testing.T) {
	m := calibrated()
	_, plain, err1 := testModel().Inference()
	p, scaled, err2 := m.Inference()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	head := p.Steps[len(p.Steps)-1]
	for _, name := range []string{head.Weight, head.Bias} {
		got := scaled[name].Data().([]float32)
		for i, v := range plain[name].Data().([]float32) {
			class := i % len(m.Labels)
			want := float64(v) * m.Calibration.Scaling.Scale[class]
			if name == head.Bias {
				want += m.Calibration.Scaling.Shift[class]
			}
			if math.Abs(float64(got[i])-want) > 1e-6 {
				t.Fatalf("%s at %d is %g, want %g", name, i, got[i], want)
			}
		}
	}
}

func TestProbabilities(t *testing.T) {
	const e = math.E
	unknown := &confidence.Calibration{Unknown: &confidence.Unknown{Score: confidence.MaxLogit, Threshold: -1, Slope: 2}}
	for _, c := range []struct {
		name        string
		labels      []string
		calibration *confidence.Calibration
		want        []float64 // of the logits 2 and 0 at a temperature of 2
	}{
		{"without a calibration", []string{"a", "b"}, nil, []float64{e / (1 + e), 1 / (1 + e)}},
		{"at the threshold", []string{"a", "b"}, unknown, []float64{e / (1 + e) / 2, 1 / (1 + e) / 2}},
		{"with a label for it", []string{"a", "_unknown_"}, unknown, []float64{e / (1 + e) / 2, 1/(1+e) + e/(1+e)/2}},
		{"the other is background", []string{"_silence_", "a"}, unknown, []float64{
			e / (1 + e), 1 / (1 + e) * (1 - 1/(1+math.Exp(-2))),
		}},
	} {
		m := &polynet.Model{Labels: c.labels, Temperature: 2, Calibration: c.calibration}
		p := []float64{2, 0}
		if !m.Probabilities(p) || math.Abs(p[0]-c.want[0]) > 1e-12 || math.Abs(p[1]-c.want[1]) > 1e-12 {
			t.Errorf("%s: %v, want %v", c.name, p, c.want)
		}
		if m.Probabilities([]float64{math.NaN(), 0}) {
			t.Errorf("%s: NaN counts as finite", c.name)
		}
	}
}
