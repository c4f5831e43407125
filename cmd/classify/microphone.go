package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/microphone"
	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
)

// recorder reports the events of what a microphone records: it is --stream with a microphone in place of a pipe.
type recorder struct {
	Device      string `help:"${microphone}" placeholder:"NAME"`
	ListDevices bool   `help:"List the microphones, the default one with a star, and exit."`

	Model  string  `help:"Model file, or an embedded model: base, the default, small or tiny." placeholder:"MODEL"`
	Format string  `help:"Output format: ${enum}. See docs/output.md." enum:"text,ndjson,csv,audacity" default:"text"`
	Hop    float64 `help:"Seconds from one decision to the next; 0 is as often as possible." default:"0" placeholder:"S"`

	Doubt     doubtFlags      `embed:"" group:"Doubt:"`
	Computing computing.Flags `embed:"" prefix:"computing-"`
	Sound     rawFlags        `embed:"" group:"Recording (the default is the microphone's rate, one channel, s16le):"`
	Events    eventFlags      `embed:"" group:"Events (the defaults are the model's):"`
}

// Run listens.
func (c *recorder) Run(ctx context.Context, s program.Streams) error {
	if c.ListDevices {
		return listDevices(s.Out)
	}
	shared := cli{
		Model: c.Model, As: records.Auto, Top: 1, Format: c.Format, Hop: c.Hop, Doubt: c.Doubt, Computing: c.Computing,
		Live: liveFlags{Stream: true, rawFlags: c.Sound}, Events: c.Events,
	}
	if err := shared.check(); err != nil {
		return program.WithStatus(program.StatusUsage, err)
	}
	l, err := shared.load(s.Err)
	if err != nil {
		return err
	}
	var format audio.Format
	override(&format.Rate, c.Sound.Rate)
	override(&format.Channels, c.Sound.Channels)
	override(&format.Encoding, c.Sound.Encoding)
	recording, err := microphone.Open(c.Device, format)
	if err != nil {
		return err
	}
	defer recording.Close()
	safe.Fprintf(s.Err, "classify: recording from %s (%s), %d Hz\n",
		recording.Device.Name, recording.Device.Description, recording.Format.Rate)
	return shared.listen(ctx, s, l, recording)
}

func listDevices(w io.Writer) error {
	devices, err := microphone.Devices()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, d := range devices {
		mark := " "
		if d.Default {
			mark = "*"
		}
		fmt.Fprintf(table, "%s %s\t%s\t%d Hz\t%d channels\n",
			mark, safe.String(d.Name), safe.String(d.Description), d.Rate, d.Channels)
	}
	return table.Flush()
}
