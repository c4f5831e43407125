package main

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/gpu"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/models"
)

func TestDoctor(t *testing.T) {
	for _, kernels := range append(device.Kernels(), "") {
		t.Setenv(device.KernelsVariable, kernels)
		status, out, errs := classify(t, nil, "doctor", "--format", "json")
		expect(t, "status and stderr", []any{status, errs}, []any{statusOK, ""})
		var found diagnosis
		if err := json.Unmarshal([]byte(out), &found); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		verdict := []any{found.Spec, found.OK, len(found.Problems), len(found.Model.Labels)}
		expect(t, "verdict", verdict, []any{records.Spec, true, 0, 19})
		contains(t, "device", found.Device.Name, kernels)
		if kernels != "" {
			contains(t, "why", found.Device.Why, "POLYPHON_CPU="+kernels)
		}
		if s := found.SelfTest; s == nil || !s.Passed || s.Difference > 1e-3 || s.Milliseconds <= 0 || s.RealTime <= 0 {
			t.Errorf("self-test %+v", s)
		}
		expect(t, "environment", os.Getenv(device.KernelsVariable), kernels)
	}
	os.Unsetenv(device.KernelsVariable)
	_, out, _ := classify(t, nil, "doctor")
	parameters := models.Base().Net.Program().Parameters()
	for _, says := range []string{
		"embedded", fmt.Sprint("parameters   ", parameters), "16000 Hz", "lookahead 450 ms", "calibration  ",
		"self-test    passed", "x real time", "all is well",
	} {
		contains(t, "text", out, says)
	}
	if _, set := os.LookupEnv(device.KernelsVariable); set {
		t.Error("the self-test changes the environment")
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	folder(t, map[string][]byte{"m.safetensors": []byte("PK\x03\x04")})
	t.Setenv(device.KernelsVariable, "abacus")
	status, out, _ := classify(t, nil, "doctor", "--model", "m.safetensors")
	expect(t, "status", status, statusModel)
	for _, says := range []string{
		`"abacus"`, "unset POLYPHON_CPU, or set it to one of: generic", "ZIP archive", "train fit",
	} {
		contains(t, "text", out, says)
	}
	os.Unsetenv(device.KernelsVariable)
	status, out, _ = classify(t, nil, "doctor", "--model", "missing", "--format", "json")
	expect(t, "status", status, statusModel)
	contains(t, "json", out, `"ok": false`)
	contains(t, "json", out, `"self_test": null`)
	contains(t, "json", out, "leave it out for the embedded model")
	status, _, errs := classify(t, nil, "doctor", "--threads=-1")
	expect(t, "status", status, statusUsage)
	contains(t, "stderr", errs, "--threads")
}

// crooked is a device with one wrong kernel.
type crooked struct{ device.Trainer }

func (c crooked) Serial() device.Device { return c }

func (c crooked) MatMul(dst, a device.View, w *device.Packed, e device.Epilogue) {
	c.Trainer.MatMul(dst, a, w, e)
	for i := range dst.Cols {
		dst.Data.Host()[i] += 0.1
	}
}

func TestSelfTestFindsAWrongKernel(t *testing.T) {
	model, err := models.Open("")
	if err != nil {
		t.Fatal(err)
	}
	found := &diagnosis{}
	found.test(model, crooked{device.Ref()}, gpu.Float32)
	if found.SelfTest == nil || found.SelfTest.Passed || len(found.Problems) != 1 {
		t.Fatalf("%+v", found)
	}
	contains(t, "advice", string(found.Problems[0].Do), "POLYPHON_CPU=generic")
}

func TestFileNamedLikeACommand(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"doctor": wav(noise(rate, loud))})
	status, out, _ := classify(t, nil, "--model", model, "./doctor")
	expect(t, "status", status, statusOK)
	contains(t, "stdout", out, "./doctor  loud ")
	status, _, errs := classify(t, nil, "--model", model, "doctor")
	expect(t, "status", status, statusUsage)
	contains(t, "stderr", errs, "--model")
}

func TestTestSound(t *testing.T) {
	clip := testSound(16000, 1)
	expect(t, "length", len(clip.Samples), 16000)
	loudest := float32(0)
	for _, v := range clip.Samples {
		loudest = max(loudest, v, -v)
	}
	if loudest < 0.1 || loudest > 1 {
		t.Errorf("the loudest sample is %v", loudest)
	}
}
