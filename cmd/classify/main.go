// Command classify says what is heard in sound files.
//
//	classify [--model M] [--top K] [--format text|json|ndjson|csv] [--threads N] [--hop S] FILE|DIR|- ...
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// Exit statuses.
const (
	statusOK          = 0
	statusFailed      = 1 // some inputs could not be classified, or the results not be written
	statusUsage       = 2
	statusModel       = 3 // the model or the device cannot be used
	statusInterrupted = 130
)

type cli struct {
	Paths   []string         `arg:"" name:"path" help:"WAV and FLAC files, folders of them (searched recursively), or - for a sound on the standard input."`
	Model   string           `help:"Model file; without it, the embedded model." type:"path" placeholder:"FILE"`
	Top     int              `help:"Labels of each window, the likeliest first (default: 1); 0 is all." default:"1" placeholder:"K"`
	Format  string           `help:"Output format: ${enum}. docs/output.md describes them." enum:"text,json,ndjson,csv" default:"text"`
	Threads int              `help:"Threads; 0 is one per core." default:"0" placeholder:"N"`
	Hop     float64          `help:"Seconds from one window's start to the next one's in long sounds; 0 is half a window." default:"0" placeholder:"S"`
	Version kong.VersionFlag `help:"Print the version and exit."`
}

// streams are where the command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	log.SetOutput(io.Discard) // a FLAC decoder's remarks, a line a frame
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(status)
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, s streams) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("classify"),
		kong.Description("Says what is heard in sound files."),
		kong.Vars{"version": "polyphon " + version()},
		kong.Writers(s.out, s.err),
		kong.Exit(func(code int) { exited = code }),
	)
	if err != nil {
		panic(err) // the flag definitions are wrong
	}
	_, err = parser.Parse(args)
	switch {
	case exited >= 0: // --help and --version
		return exited
	case err == nil:
		err = c.check()
	}
	if err != nil {
		fmt.Fprintf(s.err, "classify: %v\nRun \"classify --help\" for the usage.\n", err)
		return statusUsage
	}
	j, status, err := c.newJob(s)
	if err != nil {
		fmt.Fprintf(s.err, "classify: %v\n", err)
		return status
	}
	return j.run(ctx)
}

// check returns an error for what the flags' types let through.
func (c *cli) check() error {
	stdin := 0
	for _, path := range c.Paths {
		if path == stdinName {
			stdin++
		}
	}
	switch {
	case c.Top < 0:
		return fmt.Errorf("--top %d is negative", c.Top)
	case c.Threads < 0:
		return fmt.Errorf("--threads %d is negative", c.Threads)
	case stdin > 1:
		return errors.New("the standard input can be read only once")
	}
	return nil
}

// mostTogether is how many windows a worker computes together, to make the most of the weights once they are in the cache.
const mostTogether = 16

// newJob prepares the work; an error comes with its exit status.
func (c *cli) newJob(s streams) (*job, int, error) {
	model, err := models.Open(c.Model)
	if err != nil {
		return nil, statusModel, err
	}
	single, err := device.CPU(1) // each worker is one thread
	if err != nil {
		return nil, statusModel, err
	}
	classifier, err := polynet.NewClassifier(model, single)
	if err != nil {
		return nil, statusModel, err
	}
	j := &job{
		classifier: classifier, inputs: find(c.Paths), streams: s,
		options: polynet.Options{Hop: c.Hop, Top: c.Top},
	}
	j.options.Batch = min(len(j.inputs), mostTogether)
	threads := c.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	for range max(1, min(threads, len(j.inputs))) {
		w, err := classifier.Worker(j.options)
		if err != nil {
			return nil, statusUsage, err
		}
		j.workers = append(j.workers, w)
	}
	j.summary = summary{
		Window: seconds(model.Window), Hop: seconds(j.workers[0].Hop()), Model: c.Model, Device: single.Name(), Threads: len(j.workers),
	}
	if c.Model == "" {
		j.summary.Model = "embedded"
	}
	j.report = newReport(c.Format, s.out, j)
	return j, statusOK, nil
}

// version returns the version that the program was built from, as far as the build says.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
