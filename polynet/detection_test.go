package polynet_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/polynet"
)

// withDetection returns testModel with an operating point of its own.
func withDetection() *polynet.Model {
	m := testModel()
	m.Detection = &detect.Config{
		Smoothing: 0.15, Threshold: 0.75, Thresholds: map[string]float64{"label 1": 0.5},
		Release: 0.4, MinDuration: 0.05, Refractory: 0.9,
	}
	return m
}

// TestDetectionIsOptional reads a file with an operating point and one without, such as older ones.
func TestDetectionIsOptional(t *testing.T) {
	for _, want := range []*polynet.Model{testModel(), withDetection()} {
		file := modelFile(t, want)
		if said := bytes.Contains(file, []byte(`"detection"`)); said != (want.Detection != nil) {
			t.Errorf("detection is in the file: %v, in the model: %+v", said, want.Detection)
		}
		got, err := polynet.Read(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		if field := difference(got, want); field != "" {
			t.Errorf("what is read differs in its %s", field)
		}
	}
	if got := testModel().DetectionConfig(); !reflect.DeepEqual(got, detect.Default(0.2)) {
		t.Errorf("without an operating point: %+v", got)
	}
	if got := withDetection().DetectionConfig(); got.Threshold != 0.75 || got.Thresholds["label 1"] != 0.5 {
		t.Errorf("with one: %+v", got)
	}
}
