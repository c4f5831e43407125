// Command train fits polynomial networks to recordings and says what a model is and how good it is.
//
//	train fit  --data DIR --out model.safetensors
//	train eval [--model M] --data DIR [--split test]
//	train info [M]
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// Exit statuses, shared with classify.
const (
	statusOK          = 0
	statusFailed      = 1 // the work failed
	statusUsage       = 2
	statusModel       = 3 // the model or the device cannot be used
	statusInterrupted = 130
)

type cli struct {
	Fit     fitCmd           `cmd:"" help:"Train a model on a folder of recordings."`
	Eval    evalCmd          `cmd:"" help:"Measure a model on a folder of recordings."`
	Info    infoCmd          `cmd:"" help:"Say what a model is."`
	Version kong.VersionFlag `help:"Print the version and exit."`
}

// streams are where a command reads and writes.
type streams struct {
	out, err io.Writer
}

func main() {
	log.SetOutput(io.Discard) // a FLAC decoder's remarks, a line a frame
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], streams{out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(status)
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, s streams) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("train"),
		kong.Description("Fits polynomial networks to recordings, and says what a model is and how good it is."),
		kong.Vars{"version": "polyphon " + commit()},
		kong.Writers(s.out, s.err),
		kong.Exit(func(code int) { exited = code }),
		kong.ShortUsageOnError(),
	)
	if err != nil {
		panic(err) // the flag definitions are wrong
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help and --version
		return exited
	}
	if err != nil {
		fmt.Fprintf(s.err, "train: %v\nRun \"train --help\" for the commands.\n", err)
		return statusUsage
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(s); err != nil {
		return report(s.err, err)
	}
	return statusOK
}

// statusError gives an error its exit status.
type statusError struct {
	error
	status int
}

func (e statusError) Unwrap() error { return e.error }

func withStatus(status int, err error) error {
	if err == nil {
		return nil
	}
	return statusError{error: err, status: status}
}

func report(w io.Writer, err error) int {
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "train: interrupted")
		return statusInterrupted
	}
	fmt.Fprintf(w, "train: %v\n", err)
	var s statusError
	if errors.As(err, &s) {
		return s.status
	}
	for _, usage := range []error{training.ErrConfig, polynet.ErrConfig, datasets.ErrOptions} {
		if errors.Is(err, usage) {
			return statusUsage
		}
	}
	return statusFailed
}

// commit returns the commit that the program was built from, as far as the build says.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	if info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
