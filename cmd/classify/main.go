// Command classify says what is heard in sound files.
//
//	classify [--model M] [--top K] [--format text|json|ndjson|csv|audacity] [--out DIR] [--threads N] [--hop S] FILE|DIR|- ...
//	classify --stream [--rate HZ] [--channels N] [--encoding E] [--exec CMD]
//	classify doctor
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/alecthomas/kong"
	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// Exit statuses.
const (
	statusOK          = program.StatusOK
	statusFailed      = program.StatusFailed // some inputs could not be classified, or the results not be written
	statusUsage       = program.StatusUsage
	statusModel       = program.StatusModel
	statusInterrupted = program.StatusInterrupted
)

// commands are what the program does: without a command's name, it classifies.
type commands struct {
	Classify   cli                `cmd:"" name:"classify files" default:"withargs"`
	Doctor     doctor             `cmd:"" help:"Say what classify computes with, test it, and tell what to do where something is wrong."`
	Completion program.Completion `cmd:"" help:"Print the script that completes command lines in a shell; its first line says where it belongs."`
	Man        program.Manual     `cmd:"" help:"Print the manual page."`
	Version    kong.VersionFlag   `help:"Print the version and exit."`
}

var this = program.Program{
	Name: "classify",
	Does: "Says what is heard in sound files.",
	Statuses: [][2]string{
		{"0", "Every input was classified."},
		{"1", "Some inputs failed, each named on standard error; the others were classified. Also: the results could not be written."},
		{"2", "Wrong usage; nothing was classified."},
		{"3", "The model or the device cannot be used; nothing was classified."},
		{"130", "Interrupted; what had been finished was written."},
	},
	Environment: computing.Environment,
	Examples: [][2]string{
		{"classify rec.wav other.flac", "One readable line a file"},
		{"classify --top 3 --format csv folder/", "A folder and those below it, as a table"},
		{"arecord -q -t raw -f S16_LE -r 16000 -c 1 | classify --stream", "Words as they are spoken"},
		{"classify --format audacity talk.wav > labels.txt", "A label track of a recording"},
		{"classify --out results folder/", "A result file for each, and only for those that have none"},
	},
}

type cli struct {
	Paths   []string `arg:"" optional:"" name:"path" help:"WAV and FLAC files, folders of them (searched recursively), or - for a sound on the standard input."`
	Model   string   `help:"Model file, or an embedded model: base, the default, or small." placeholder:"FILE"`
	Top     int      `help:"Labels of each window, the likeliest first (default: 1); 0 is all." default:"1" placeholder:"K"`
	Format  string   `help:"Output format: ${enum}. docs/output.md describes them." enum:"text,json,ndjson,csv,audacity" default:"text"`
	Threads int      `help:"Threads; 0 is one per core." default:"0" placeholder:"N"`
	Hop     float64  `help:"Seconds from one decision to the next in long sounds; 0 is as often as the model can, or with --windows half a window." default:"0" placeholder:"S"`

	Computing computing.Flags `embed:""`

	Live   liveFlags  `embed:"" group:"Live sound:"`
	Events eventFlags `embed:"" group:"Events (the defaults are the model's):"`
	Many   manyFlags  `embed:"" group:"Many files:"`
}

// streams are where the command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	program.Main(func(ctx context.Context, args []string) int {
		return run(ctx, args, streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	})
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, s streams) int {
	return this.Run(ctx, args, s.out, s.err, &commands{}, s)
}

// Run classifies.
func (c *cli) Run(ctx context.Context, s streams) error {
	if err := c.check(); err != nil {
		return program.WithStatus(statusUsage, err)
	}
	if c.Live.Stream {
		return c.listen(ctx, s)
	}
	j, status, err := c.newJob(s)
	if err != nil {
		return program.WithStatus(status, err)
	}
	return program.Exit(j.run(ctx))
}

// check returns an error for what the flags' types let through.
func (c *cli) check() error {
	stdin := 0
	for _, path := range c.Paths {
		if path == stdinName {
			stdin++
		}
	}
	if err := errors.Join(c.Live.check(c.Paths, c.Format), c.Events.check(c.Live.Stream)); err != nil {
		return err
	}
	switch {
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
	return nil
}

// loaded is a model, ready for use.
type loaded struct {
	name       string
	model      *polynet.Model
	device     *computing.Device
	classifier *polynet.Classifier
}

// load opens the model that the flags name, or the embedded one, and the device, for workers of one thread each. It tells the user
// where there was a choice between devices.
func (c *cli) load(console io.Writer) (*loaded, error) {
	l := &loaded{name: cmp.Or(c.Model, models.Base)}
	var err error
	if l.model, err = models.Open(c.Model); err != nil {
		return nil, err
	}
	if l.device, err = c.Computing.Open(1); err != nil {
		return nil, err
	}
	if l.device.Note != "" {
		fmt.Fprintf(console, "classify: %s\n", l.device.Note)
	}
	l.classifier, err = polynet.NewClassifier(l.model, l.device.Trainer)
	return l, err
}

// summary returns what summaries say of the model and the device.
func (l *loaded) summary(threads int) summary {
	return summary{Window: seconds(l.model.Window), Model: l.name, Device: l.device.Name(), Threads: threads}
}

// How many windows a worker computes together: to make the most of the weights once they are in the cache, and to give a GPU
// enough to do.
const (
	mostTogether      = 16
	mostTogetherOnGPU = 64
)

// newJob prepares the work; an error comes with its exit status.
func (c *cli) newJob(s streams) (*job, int, error) {
	use, err := c.load(s.err)
	if err != nil {
		return nil, statusModel, err
	}
	classifier, model := use.classifier, use.model
	j := &job{
		classifier: classifier, device: use.device, streams: s, failFast: c.Many.FailFast,
		options: polynet.Options{Hop: c.Hop, Top: c.Top},
	}
	share, err := c.Many.share(s.err)
	if err != nil {
		return nil, statusUsage, err
	}
	j.inputs, err = j.plan(find(c.Paths), share, c.Format, c.Many)
	if err != nil {
		return nil, statusUsage, err
	}
	if err := c.Events.validate(model); err != nil {
		return nil, statusUsage, err
	}
	if c.Format == "audacity" && j.batch == nil && len(j.inputs) > 1 {
		return nil, statusUsage, errors.New("--format audacity is about one sound; for more of them, give --out")
	}
	together := mostTogether
	if use.device.GPU() {
		together = mostTogetherOnGPU
	}
	j.options.Batch = max(1, min(len(j.inputs), together))
	threads := c.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	for range max(1, min(threads, len(j.inputs))) {
		w, err := classifier.Worker(j.options)
		if err != nil {
			return nil, statusUsage, err
		}
		j.workers = append(j.workers, &worker{Worker: w, long: c.Events.longSounds(classifier, model, c.Hop)})
	}
	j.constants = use.summary(len(j.workers))
	j.constants.Hop = seconds(j.workers[0].Hop())
	j.summary = j.constants
	j.summary.Skipped = j.batch.skipped()
	if share.count > 1 {
		j.summary.Shard = share.String()
	}
	j.report = newReport(c.Format, j.reportsTo(c.Format), j, j.inputs)
	return j, statusOK, nil
}
