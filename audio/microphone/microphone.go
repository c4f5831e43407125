// Package microphone records sound from the sound server of a Linux desktop, PulseAudio or PipeWire, without cgo.
package microphone

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/audio"
)

// ErrUnavailable says that there is no sound server to record from, and what records instead.
var ErrUnavailable = errors.New("no sound server")

// Device is what sound can be recorded from.
type Device struct {
	Name        string // as the sound server knows it
	Description string // for people
	Rate        int    // hertz
	Channels    int
	Default     bool // recorded from unless another one is named
	Monitor     bool // records what an output plays
}

// find returns the device of a name or, in any case of letters, description; the default one where the name is empty.
func find(devices []Device, name string) (Device, error) {
	is := func(d Device) bool { return d.Name == name || strings.EqualFold(d.Description, name) }
	if name == "" {
		is = func(d Device) bool { return d.Default }
	}
	i := slices.IndexFunc(devices, is)
	if i >= 0 {
		return devices[i], nil
	}
	var names []string
	for _, d := range devices {
		names = append(names, d.Name)
	}
	if name == "" {
		return Device{}, fmt.Errorf("the sound server has no default microphone (there are: %s)", strings.Join(names, ", "))
	}
	return Device{}, fmt.Errorf("there is no microphone %q (there are: %s)", name, strings.Join(names, ", "))
}

// complete returns the format in which a device is recorded: zero fields of f become those of the device, in 16 bits
// and one channel.
func (d Device) complete(f audio.Format) audio.Format {
	f.Container = "raw"
	if f.Rate == 0 {
		f.Rate = min(max(d.Rate, audio.MinRate), audio.MaxRate)
	}
	f.Channels = max(f.Channels, 1)
	if f.Encoding == 0 {
		f.Encoding = audio.S16LE
	}
	return f
}
