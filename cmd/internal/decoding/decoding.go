// Package decoding has the flag that chooses what decodes sound.
package decoding

import (
	"context"
	"fmt"

	"github.com/polyphon/polyphon/audio/ffmpeg"
	"github.com/polyphon/polyphon/cmd/internal/program"
)

// Flags are the flags about decoding.
type Flags struct {
	DecodeWith string `help:"${decodeWith}" enum:"none,ffmpeg" default:"none" placeholder:"ffmpeg"`
}

// Help is the text of DecodeWith's help, for the program's texts.
const Help = "Decode sounds in other formats, such as M4A and WebM, with this installed program, and search folders " +
	"for them, too: ffmpeg."

// Use has all sound decoded as the flags say, until ctx is done. Its error is one of usage.
func (f Flags) Use(ctx context.Context) error {
	if f.DecodeWith != "ffmpeg" {
		return nil
	}
	if err := ffmpeg.Register(ctx); err != nil {
		return program.WithStatus(program.StatusUsage, fmt.Errorf("--decode-with ffmpeg: %w", err))
	}
	return nil
}
