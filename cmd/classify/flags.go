package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

const (
	stdinName    = "-" // the standard input among the paths
	defaultModel = "base"
)

type cli struct {
	Paths   []string `arg:"" optional:"" name:"path" help:"${paths}"`
	Model   string   `help:"Model file, or an embedded model: base, the default, small or tiny." placeholder:"MODEL"`
	As      string   `help:"${as}" enum:"auto,clip,events" default:"auto" placeholder:"WAY"`
	Pool    string   `help:"${pool}" enum:"mean,max,share" default:"mean" placeholder:"POOL"`
	Top     int      `help:"Likeliest labels to report (default: 1); 0 is all." default:"1" placeholder:"K"`
	Format  string   `help:"Output format: ${enum}. See docs/output.md." enum:"${formats}" default:"text"`
	Threads int      `help:"Threads; 0 is one per core." default:"0" placeholder:"N"`
	Hop     float64  `help:"${hop}" default:"0" placeholder:"S"`

	Doubt     doubtFlags      `embed:"" group:"Doubt:"`
	Computing computing.Flags `embed:""`
	Decoding  decoding.Flags  `embed:""`

	Live   liveFlags  `embed:"" group:"Live sound:"`
	Events eventFlags `embed:"" group:"Events (the defaults are the model's):"`
	Many   manyFlags  `embed:"" group:"Many files:"`

	Sorting sortFlags `embed:"" group:"Sorting:"`
}

// liveFlags are about live sound.
type liveFlags struct {
	Stream bool `help:"${stream}"`
	rawFlags
}

// rawFlags are about live sound wherever it comes from.
type rawFlags struct {
	Rate     *int            `help:"Rate of raw PCM in hertz (default: 16000; of a microphone, its own)." placeholder:"HZ"`
	Channels *int            `help:"Channels of raw PCM (default: 1)." placeholder:"N"`
	Encoding *audio.Encoding `help:"${encoding}" placeholder:"E"`
	Exec     string          `help:"${exec}" placeholder:"CMD"`
}

// eventFlags are about events, in live sound and in recordings.
type eventFlags struct {
	Only        string         `help:"${only}" placeholder:"LABEL,..."`
	Threshold   *thresholdFlag `help:"${threshold}" placeholder:"P"`
	Release     *float64       `help:"Part of the threshold below which an event ends." placeholder:"PART"`
	Smoothing   *float64       `help:"Seconds over which probabilities are averaged." placeholder:"S"`
	MinDuration *float64       `help:"Seconds for which the threshold must have been reached." placeholder:"S"`
	Refractory  *float64       `help:"${refractory}" placeholder:"S"`
	Gate        float64        `help:"${gate}" placeholder:"DB" default:"0"`
	Windows     bool           `help:"Report the labels of every window of recordings instead of events."`
	Save        string         `help:"${save}" placeholder:"DIR"`
	Near        float64        `help:"${near}" placeholder:"P" default:"0"`
	PreRoll     float64        `help:"With --save, seconds of sound before that of the event." placeholder:"S" default:"0"`
}

// manyFlags are for corpora that take a while.
type manyFlags struct {
	Out      string `help:"${out}" placeholder:"DIR"`
	Force    bool   `help:"With --out, classify inputs that have results, too."`
	FailFast bool   `help:"Stop at the first input that fails."`
	Shard    shard  `help:"${shard}" placeholder:"I/N"`
	Shards   int    `help:"${shards}" env:"JOB_COMPLETION_COUNT" placeholder:"N"`
}

// texts are the help of flags that is too long for their tags.
var texts = map[string]string{
	"formats": "text,json,ndjson,csv,audacity",
	"device":  computing.DeviceHelp,

	"decodeWith": decoding.Help,
	"paths": "Sound files (WAV, AIFF, FLAC, MP3, Ogg Vorbis, Opus), folders of them (searched recursively), " +
		"or - for a sound on the standard input.",
	"as": "clip: answer for a recording as a whole; events: search it for events, too; auto, the default: clip up to " +
		"three windows of the model and with --sort, events beyond that, and with --save.",
	"pool": "How the probabilities of a label in the windows of a sound become one, over the whole: mean; max, the " +
		"largest one; or share, in how many windows it is the likeliest (default: mean).",
	"only": "Report events and windows of these labels only, and sort no other files.",
	"threshold": "Probability that begins an event, and with --sort that a file needs to be sorted: a number, or by " +
		"label as in left=0.9,*=0.8, where * is all others.",
	"near": "With --save, save near misses, too, in the folder " + records.NearFolder + ": sounds of which a label " +
		"reached this probability and that are no event; train review shows them.",
	"sort": "Put a copy of each file into a folder named after its label, below this one, whose " + logName +
		" says what was done.",
	"undo": "Take back what --sort did, as its log says.",
	"hop": "Seconds from one decision to the next in long sounds; 0 is as often as the model can, " +
		"or with --windows half a window.",
	"minConfidence": "Refuse answers whose likeliest label has a probability below P: windows and results are marked, " +
		"events not reported.",
	"coverage": "Report, with each window and result, the smallest set of labels that holds the true one in this " +
		"share of sounds like those that the model was calibrated on, such as 0.95.",
	"watchDrift": "Say when the sounds are no longer like those that the model was calibrated on.",
	"microphone": "Microphone to record from, by its name or description; --list-devices lists them " +
		"(default: the one of the desktop's settings).",
	"stream": "Read live sound from the standard input, raw PCM or anything with a header, such as WAV or MP3, " +
		"and report each event as soon as it is certain.",
	"encoding": "Encoding of raw PCM: u8, s16le, s24le, s24in32le (arecord's S24_LE), s32le, f32le, f64le, alaw, " +
		"mulaw, s8, or big-endian s16be, s24be, s32be, f32be, f64be (default: s16le).",
	"exec": "Command to run for each event, without a shell; " +
		"{label}, {p}, {time}, {start}, {end} and {clock} are replaced.",
	"refractory": "Seconds from an event's beginning in which its label begins no other.",
	"gate": "Level, in dB below full scale, such as 60, below which sound is silence and costs nothing; " +
		"0 is no gate.",
	"save": "Write the sound of each event as a WAV file into a folder named after its label, below this folder.",
	"out": "Write the results of each input to a file of its own below this folder, and leave out inputs " +
		"that have one. docs/output.md says which.",
	"shard": "Take one of N shares of the inputs, numbered from 0 to N-1. Default: all, or as --shards says.",
	"shards": "Take the share number $JOB_COMPLETION_INDEX of so many, " +
		"as in a Kubernetes Indexed Job.",
}

// Run classifies.
func (c *cli) Run(ctx context.Context, s program.Streams) error {
	if err := c.check(); err != nil {
		return program.WithStatus(program.StatusUsage, err)
	}
	if c.Sorting.Undo != "" {
		return undo(c.Sorting.Undo, s)
	}
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	l, err := c.load(s.Err)
	if err != nil {
		return err
	}
	if c.Live.Stream {
		return c.listen(ctx, s, l, nil)
	}
	return c.classify(ctx, s, l)
}

// check returns an error for what the types of the flags accept and makes no sense.
func (c *cli) check() error {
	stdin := 0
	for _, path := range c.Paths {
		if path == stdinName {
			stdin++
		}
	}
	live, raw, gate := c.Live.Stream, c.Live.format(), c.Events.Gate
	switch {
	case !live && (c.Live.declared() || c.Live.Exec != ""):
		return errors.New("--rate, --channels, --encoding and --exec are about live sound: they need --stream")
	case !live && len(c.Paths) == 0 && c.Sorting.Undo == "":
		return errors.New("expected files, folders, or - for the standard input")
	case live && (len(c.Paths) > 1 || len(c.Paths) != stdin):
		return errors.New("--stream reads the standard input, not files")
	case live && (raw.Rate < audio.MinRate || raw.Rate > audio.MaxRate):
		return fmt.Errorf("--rate %d: %d to %d are read", raw.Rate, audio.MinRate, audio.MaxRate)
	case live && (raw.Channels < 1 || raw.Channels > audio.MaxChannels):
		return fmt.Errorf("--channels %d: 1 to %d are read", raw.Channels, audio.MaxChannels)
	case live && c.Format == "json":
		return errors.New("--format json is written at the end, and live sound has none; use ndjson")
	case live && c.Many.given():
		return errors.New("--out, --force, --fail-fast, --shard and --shards are about files: --stream reads one sound")
	case live && c.Top != 1:
		return errors.New("--top is about recordings, and --stream reports events, which have one label")
	case live && c.Events.Windows:
		return errors.New("--windows is about recordings, not about live sound")
	case live && c.As != records.Auto:
		return errors.New("--as is about recordings: live sound is searched for events")
	case c.Events.Windows && c.Events.Save != "":
		return errors.New("--save is about events, and --windows reports none")
	case c.Events.Windows && c.As != records.Auto:
		return fmt.Errorf("--as %s and --windows: a recording is answered in one of these ways", c.As)
	case c.As == records.AsClip && c.Events.Save != "":
		return errors.New("--save is about events, and --as clip looks for none")
	case c.Events.Save == "" && (c.Events.Near != 0 || c.Events.PreRoll != 0):
		return errors.New("--near and --pre-roll are about the sounds that --save saves")
	case math.IsNaN(gate) || math.IsInf(gate, 0):
		return fmt.Errorf("--gate %g is no level", gate)
	case c.Top < 0:
		return fmt.Errorf("--top %d is negative", c.Top)
	case c.Threads < 0:
		return fmt.Errorf("--threads %d is negative", c.Threads)
	case stdin > 1:
		return errors.New("the standard input can be read only once")
	case stdin > 0 && c.Many.Out != "":
		return errors.New("--out names result files after their inputs, and the standard input has no name")
	case c.Many.Force && c.Many.Out == "":
		return errors.New("--force without --out: there are no results that it could replace")
	}
	if err := c.Sorting.check(c, stdin > 0); err != nil {
		return err
	}
	return c.Doubt.check(live)
}

// as returns how recordings are answered, auto included.
func (c *cli) as() string {
	switch {
	case c.Events.Windows:
		return records.AsWindows
	case c.Events.Save != "":
		return records.AsEvents
	case c.Sorting.Sort != "" && c.As == records.Auto:
		return records.AsClip
	}
	return c.As
}

// given reports whether any of the flags is given. A count of shards in the environment is not: a cluster sets it.
func (f *manyFlags) given() bool {
	shards := f.Shards != 0 && os.Getenv(countVariable) == ""
	return f.Out != "" || f.Force || f.FailFast || f.Shard != (shard{}) || shards
}

// declared reports whether flags say how raw sound is encoded.
func (f *rawFlags) declared() bool { return f.Rate != nil || f.Channels != nil || f.Encoding != nil }

// format returns how raw sound is encoded.
func (f *rawFlags) format() audio.Format {
	format := audio.Format{Container: "raw", Encoding: audio.S16LE, Rate: 16000, Channels: 1}
	override(&format.Rate, f.Rate)
	override(&format.Channels, f.Channels)
	override(&format.Encoding, f.Encoding)
	return format
}

// override sets a value where a flag is given.
func override[T any](value, flag *T) {
	if flag != nil {
		*value = *flag
	}
}

// detection returns the operating point: the model's, changed by the flags.
func (f *eventFlags) detection(c detect.Config) detect.Config {
	if f.Threshold != nil {
		f.Threshold.apply(&c)
	}
	override(&c.Release, f.Release)
	override(&c.Smoothing, f.Smoothing)
	override(&c.MinDuration, f.MinDuration)
	override(&c.Refractory, f.Refractory)
	return c
}

// least returns the probability that a file of a label needs to be sorted.
func (f *eventFlags) least(label string) float64 {
	if f.Threshold == nil {
		return 0
	}
	return f.Threshold.least(label)
}

// loaded is a model on a device, ready for use.
type loaded struct {
	*polyphon.Recognizer
	name   string // of the model
	device *computing.Device
	only   labelSet
	watch  *driftWatch // nil without --watch-drift
}

// load opens the model and the device that the flags name. Each worker computes in one thread. Where there was a choice
// between devices, it says so.
func (c *cli) load(console io.Writer) (*loaded, error) {
	l := &loaded{name: cmp.Or(c.Model, defaultModel)}
	model, err := models.Open(c.Model)
	if err != nil {
		return nil, program.WithStatus(program.StatusModel, err)
	}
	if l.device, err = c.Computing.Open(1); err != nil {
		return nil, program.WithStatus(program.StatusModel, err)
	}
	if l.device.Note != "" {
		safe.Fprintf(console, "classify: %s\n", l.device.Note)
	}
	options := []polyphon.Option{
		polyphon.WithDevice(l.device.Trainer), polyphon.WithThreads(c.Threads), polyphon.WithHop(c.Hop),
		polyphon.WithGate(c.Events.Gate),
		polyphon.WithDetection(c.Events.detection(model.DetectionConfig())), polyphon.WithPool(polyphon.Pool(c.Pool)),
	}
	if c.Events.Save != "" {
		options = append(options, polyphon.WithSamples(), polyphon.WithNear(c.Events.Near),
			polyphon.WithPreRoll(c.Events.PreRoll))
	}
	doubt, watch := c.Doubt.options()
	l.watch = watch
	l.Recognizer, err = polyphon.New(model, append(options, doubt...)...)
	if err != nil && !errors.Is(err, polynet.ErrConfig) && !errors.Is(err, detect.ErrConfig) {
		err = program.WithStatus(program.StatusModel, err)
	}
	if err != nil {
		return nil, err
	}
	l.only, err = newLabelSet(c.Events.Only, l.Labels())
	return l, usage(err)
}

// usage returns an error as one of wrong usage.
func usage(err error) error { return program.WithStatus(program.StatusUsage, err) }

// formatOptions returns what formats need to know: the flags, what is known of the inputs, and the part of the
// summaries that is known before the work begins.
func (c *cli) formatOptions(l *loaded, found survey, threads int) formatOptions {
	m := l.Model()
	rate := float64(m.Features.Rate)
	o := formatOptions{
		name: c.Format, live: c.Live.Stream, labels: len(l.Labels()), windows: c.Events.Windows,
		sets: c.Doubt.Coverage != nil, bound: c.Doubt.MinConfidence, watch: l.watch, survey: found,
		summary: summary{
			Window: seconds(m.Window), Hop: seconds(math.Round(cmp.Or(c.Hop, m.Window/2)*rate) / rate),
			Model: safe.String(l.name), Device: safe.String(l.device.Trainer.Name()), Threads: threads,
		},
	}
	if c.Top > 0 {
		o.labels = min(c.Top, o.labels)
	}
	return o
}
