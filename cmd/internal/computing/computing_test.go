package computing

import (
	"errors"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/gpu"
	"github.com/polyphon/polyphon/internal/need"
)

func TestDevicesThatThereCanBe(t *testing.T) {
	for _, name := range []string{"auto", "cpu", "cuda", "cuda:0", "cuda:11"} {
		if err := new(Choice).UnmarshalText([]byte(name)); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "gpu", "cpu:1", "auto:0", "cuda:", "cuda:-1", "cuda:x", "CUDA"} {
		if err := new(Choice).UnmarshalText([]byte(name)); err == nil || !strings.Contains(err.Error(), "none of auto, cpu") {
			t.Errorf("--device %q gives %v", name, err)
		}
	}
}

func TestOpenProcessor(t *testing.T) {
	d, err := Flags{"cpu"}.Open(3)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(d.Trainer.Name(), "3 threads") || d.Note != "" || d.GPU() {
		t.Errorf("cpu opens %s, note %q", d.Trainer.Name(), d.Note)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// With and without a GPU, auto opens a device; without, cuda reports what is missing.
func TestOpenGPU(t *testing.T) {
	auto, err := Flags{"auto"}.Open(1)
	if err != nil {
		t.Fatal(err)
	}
	defer auto.Close()
	if gpu.Built != (auto.Note != "") {
		t.Errorf("the note is %q in a build where CUDA is %v", auto.Note, gpu.Built)
	}
	d, err := Flags{"cuda"}.Open(1)
	switch {
	case err == nil:
		defer d.Close()
		if !d.GPU() || !auto.GPU() || !strings.HasPrefix(d.Trainer.Name(), "cuda (") {
			t.Errorf("cuda opens %s, auto %s", d.Trainer.Name(), auto.Trainer.Name())
		}
	case !errors.Is(err, gpu.ErrUnavailable) || !strings.Contains(err.Error(), "--device cpu"):
		t.Errorf("cuda gives %v", err)
	}
}

func TestPrecisionIsChosenByTheEnvironment(t *testing.T) {
	t.Setenv(gpu.Variable, "float16")
	if _, err := (Flags{"cuda"}).Open(1); err == nil || !strings.Contains(err.Error(), "float16") {
		t.Errorf("a precision that there is not gives %v", err)
	}
	t.Setenv(gpu.Variable, "float32")
	d, err := Flags{"cuda"}.Open(1)
	if errors.Is(err, gpu.ErrUnavailable) {
		need.Platform(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if !strings.Contains(d.Trainer.Name(), "float32") {
		t.Errorf("%s=float32 opens %s", gpu.Variable, d.Trainer.Name())
	}
}
