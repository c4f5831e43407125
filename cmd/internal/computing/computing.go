// Package computing opens the device that a command line selects.
package computing

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/gpu"
)

// Flags are the flags of all commands that compute. The zero value stands for auto.
type Flags struct {
	Device Choice `help:"${device}" default:"auto" placeholder:"DEVICE"`
}

// DeviceHelp is the help of Flags.Device, which commands name device.
const DeviceHelp = "What computes: cpu, cuda (an NVIDIA GPU; cuda:1 is the second one), or auto: " +
	"a GPU where the build and the machine have one, else the processor."

// Choice names a device: auto, cpu, cuda or cuda:N.
type Choice string

// Environment describes the environment variables that select how a device computes.
var Environment = [][2]string{
	{device.KernelsVariable, "Kernels to compute with instead of the fastest ones: generic, avx2, avx512 or neon."},
	{gpu.Variable, "Precision of a GPU's matrix products: float32, tf32 or bf16. " +
		"Default: tf32 where the GPU has it, else float32."},
}

// Device is an open device.
type Device struct {
	Trainer   device.Trainer // itself, and not a part of Device, so that it keeps the interfaces that it has besides
	Note      string         // for the user: what auto selected where there was a choice, else empty
	Precision gpu.Precision  // of matrix products
	close     func() error
}

// Close releases the device.
func (d *Device) Close() error {
	if d.close == nil {
		return nil
	}
	return d.close()
}

// GPU reports whether the device is a GPU, which any number of goroutines share.
func (d *Device) GPU() bool { return d.close != nil }

// UnmarshalText accepts the names of devices, whether or not the machine has them.
func (c *Choice) UnmarshalText(text []byte) error {
	*c = Choice(text)
	_, _, err := c.parse()
	return err
}

// parse returns the part of the choice before the colon, and the GPU's number.
func (c Choice) parse() (kind string, number int, err error) {
	kind, index, numbered := strings.Cut(string(c), ":")
	switch {
	case !numbered && (kind == "auto" || kind == "cpu" || kind == "cuda"):
		return kind, 0, nil
	case kind == "cuda":
		if number, err := strconv.Atoi(index); err == nil && number >= 0 {
			return kind, number, nil
		}
	}
	return "", 0, fmt.Errorf("%q is none of auto, cpu, cuda and cuda:N", string(c))
}

// Open opens the device. On the processor it uses at most so many threads, 0 being one a core. Errors suggest a remedy.
func (f Flags) Open(threads int) (*Device, error) {
	if f.Device == "" {
		f.Device = "auto"
	}
	kind, number, err := f.Device.parse()
	if err != nil {
		return nil, err
	}
	note := ""
	if kind == "cuda" || kind == "auto" && gpu.Built {
		d, err := openGPU(number)
		if err == nil {
			if kind == "auto" {
				d.Note = "computing on " + d.Trainer.Name() + "; --device cpu would not"
			}
			return d, nil
		}
		if kind == "cuda" {
			return nil, fmt.Errorf("--device %s: %w; --device cpu computes on the processor", f.Device, err)
		}
		note = err.Error() + "; computing on the processor"
	}
	cpu, err := device.CPU(threads)
	if err != nil {
		return nil, err
	}
	return &Device{Trainer: cpu, Note: note, Precision: gpu.Float32}, nil
}

func openGPU(number int) (*Device, error) {
	var precision gpu.Precision
	if name := os.Getenv(gpu.Variable); name != "" {
		var err error
		if precision, err = gpu.ParsePrecision(name); err != nil {
			return nil, fmt.Errorf("%s: %w", gpu.Variable, err)
		}
	}
	d, err := gpu.Open(number, precision)
	if err != nil {
		return nil, err
	}
	return &Device{Trainer: d, Precision: d.Precision(), close: d.Close}, nil
}
