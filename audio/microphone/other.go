//go:build !linux

package microphone

import (
	"fmt"
	"io"
	"runtime"

	"github.com/polyphon/polyphon/audio"
)

// pipes are commands that write a microphone's sound, for systems whose sound cannot be recorded without cgo.
var pipes = map[string]string{
	"darwin":  `ffmpeg -v error -f avfoundation -i ":0" -f s16le -ac 1 -ar 16000 - | classify --stream`,
	"windows": `ffmpeg -v error -f dshow -i audio="Microphone" -f s16le -ac 1 -ar 16000 - | classify --stream`,
}

func unavailable() error {
	pipe, ok := pipes[runtime.GOOS]
	if !ok {
		pipe = "rec -q -t raw -r 16000 -b 16 -e signed -c 1 - | classify --stream"
	}
	return fmt.Errorf("%w: microphones are recorded from on Linux only; here, use\n  %s", ErrUnavailable, pipe)
}

// Devices returns ErrUnavailable, and what to do instead.
func Devices() ([]Device, error) { return nil, unavailable() }

// Recording is sound that is being recorded, to be read as raw PCM.
type Recording struct {
	io.ReadCloser
	Device Device
	Format audio.Format // of what Read returns
}

// Open returns ErrUnavailable, and what to do instead.
func Open(string, audio.Format) (*Recording, error) { return nil, unavailable() }
