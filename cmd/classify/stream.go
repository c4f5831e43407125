package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/polynet"
)

// liveFlags are about live sound.
type liveFlags struct {
	Stream   bool            `help:"Listen to live sound on the standard input: raw PCM, or WAV or FLAC, and tell each event as soon as it is certain."`
	Rate     *int            `help:"Rate of raw PCM in hertz (default: 16000)." placeholder:"HZ"`
	Channels *int            `help:"Channels of raw PCM (default: 1)." placeholder:"N"`
	Encoding *audio.Encoding `help:"Encoding of raw PCM: u8, s16le, s24le, s32le, f32le, f64le, alaw or mulaw (default: s16le)." placeholder:"E"`
	Exec     string          `help:"Command to run for each event, without a shell; {label}, {p}, {time}, {start}, {end} and {clock} are replaced." placeholder:"CMD"`
}

// liveFormats are the formats that can be written while the sound goes on.
var liveFormats = []string{"text", "ndjson", "csv", "audacity"}

// check returns an error for what the flags' types let through.
func (f *liveFlags) check(paths []string, format string) error {
	raw := f.format()
	live := f.Rate != nil || f.Channels != nil || f.Encoding != nil || f.Exec != ""
	switch {
	case live && !f.Stream:
		return errors.New("--rate, --channels, --encoding and --exec are about live sound: they need --stream")
	case !f.Stream && len(paths) == 0:
		return errors.New("expected files, folders, or - for the standard input")
	case f.Stream && len(paths) > 0 && !slices.Equal(paths, []string{stdinName}):
		return errors.New("--stream listens to the standard input, not to files")
	case f.Stream && (raw.Rate < audio.MinRate || raw.Rate > audio.MaxRate):
		return fmt.Errorf("--rate %d: %d to %d are read", raw.Rate, audio.MinRate, audio.MaxRate)
	case f.Stream && (raw.Channels < 1 || raw.Channels > audio.MaxChannels):
		return fmt.Errorf("--channels %d: 1 to %d are read", raw.Channels, audio.MaxChannels)
	case f.Stream && !slices.Contains(liveFormats, format):
		return fmt.Errorf("--format %s is written at the end, and live sound has none; use ndjson", format)
	}
	return nil
}

// format returns what is declared of raw sound.
func (f *liveFlags) format() audio.Format {
	format := audio.Format{Container: "raw", Encoding: audio.S16LE, Rate: 16000, Channels: 1}
	if f.Rate != nil {
		format.Rate = *f.Rate
	}
	if f.Channels != nil {
		format.Channels = *f.Channels
	}
	if f.Encoding != nil {
		format.Encoding = *f.Encoding
	}
	return format
}

// listen hears the standard input.
func (c *cli) listen(ctx context.Context, s streams) error {
	l, status, err := c.newListener(s)
	if err != nil {
		return program.WithStatus(status, err)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // else the end of whoever reads the events would be a sudden one here
	heard := program.Exit(l.run(ctx, s.in))
	return errors.Join(heard, program.WithStatus(statusModel, l.device.Close()))
}

// newListener prepares for live sound; an error comes with its exit status.
func (c *cli) newListener(s streams) (*listener, int, error) {
	use, err := c.load(s.err)
	if err != nil {
		return nil, statusModel, err
	}
	ear, err := c.Events.newEar(use.classifier, use.model, polynet.StreamOptions{Hop: c.Hop, Step: polynet.LiveStep})
	if err != nil {
		if errors.Is(err, polynet.ErrModel) {
			return nil, statusModel, err
		}
		return nil, statusUsage, err
	}
	debug.FreeOSMemory() // what loading has left behind would stay for as long as the sound goes on
	l := &listener{
		console: &console{w: s.err}, report: newEventReport(c.Format, s.out), ear: ear, clock: time.Now, declared: c.Live.format(),
		device:   use.device,
		explicit: c.Live.Rate != nil || c.Live.Channels != nil || c.Live.Encoding != nil, summary: use.summary(1),
	}
	l.summary.Hop = seconds(c.Hop)
	if c.Live.Exec == "" {
		return l, statusOK, nil
	}
	template, err := parseCommand(c.Live.Exec, use.model.Labels)
	if err != nil {
		return nil, statusUsage, err
	}
	l.commands = newErrands(template, l.console)
	return l, statusOK, nil
}
