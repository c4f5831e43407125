package device_test

import (
	"errors"
	"testing"

	"github.com/polyphon/polyphon/device"
)

func TestRecovered(t *testing.T) {
	if err := device.Recovered(nil); err != nil {
		t.Errorf("nil gives %v", err)
	}
	cause := errors.New("an illegal memory access")
	err := device.Recovered(&device.Fault{Kernel: "affine", Err: cause})
	var fault *device.Fault
	if !errors.As(err, &fault) || !errors.Is(err, cause) || err.Error() != "device: affine: an illegal memory access" {
		t.Errorf("a fault gives %v", err)
	}
	defer func() {
		if r := recover(); r != "bug" {
			t.Errorf("another panic goes on as %v", r)
		}
	}()
	_ = device.Recovered("bug")
}
