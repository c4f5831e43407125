// Package program holds what polyphon's commands have in common: how a command line becomes a call and an exit status,
// what the build says of itself, and the completions and the manual page that come of the same definitions of the flags.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/polyphon/polyphon/device"
)

// Exit statuses.
const (
	StatusOK          = 0
	StatusFailed      = 1 // the work, or some of it, failed
	StatusUsage       = 2
	StatusModel       = 3 // the model or the device cannot be used
	StatusInterrupted = 130
)

// Program is a command that a person types.
type Program struct {
	Name        string
	Does        string      // one sentence
	Statuses    [][2]string // exit statuses and what they mean
	Environment [][2]string // variables that no flag names, and what they do
	Examples    [][2]string // command lines and what they do
	Usage       []error     // errors that wrong usage wraps
}

// Main runs run with the process's arguments, in a context that SIGINT and SIGTERM end, and exits with its status.
func Main(run func(ctx context.Context, args []string) int) {
	log.SetOutput(io.Discard) // a FLAC decoder's remarks, a line a frame
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// Run parses args into grammar, a pointer to a struct with kong's tags, calls the Run method of the command that they
// choose, and returns the exit status. The method may ask for a context.Context and for bindings, by their types.
func (p *Program) Run(ctx context.Context, args []string, stdout, stderr io.Writer, grammar any, bindings ...any) int {
	exited := -1
	parser, err := p.parser(grammar, kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }))
	if err != nil {
		panic(err) // the definitions of the flags are wrong
	}
	if len(args) > 1 && args[0] == completeCommand {
		newCompleter(parser.Model).complete(args[1:]).write(stdout)
		return StatusOK
	}
	parsed, err := parser.Parse(args)
	switch {
	case exited >= 0: // --help and --version
		return exited
	case err != nil:
		return p.report(stderr, WithStatus(StatusUsage, err))
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return p.report(stderr, call(parsed, append(bindings, p)))
}

// call runs the command. Where a GPU fails in its goroutine, that is its error.
func call(parsed *kong.Context, bindings []any) (err error) {
	defer func() {
		if failed := device.Recovered(recover()); failed != nil {
			err = failed
		}
	}()
	return parsed.Run(bindings...)
}

// parser returns the parser of the program's command lines.
func (p *Program) parser(grammar any, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(grammar, append(options,
		kong.Name(p.Name), kong.Description(p.Does),
		kong.Vars{"version": "polyphon " + Version()},
		kong.Help(printHelp),
	)...)
}

// printHelp prints the help, in which a default command is the program itself and not one of its commands.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if ctx.Selected() != nil || ctx.Model.DefaultCmd == nil {
		return kong.DefaultHelpPrinter(options, ctx)
	}
	shown, parser, app := *ctx, *ctx.Kong, *ctx.Model
	app.Node = merged(app.Node)
	parser.Model, shown.Kong = &app, &parser
	return kong.DefaultHelpPrinter(options, &shown)
}

// merged returns a copy of a node that has its default command's arguments and flags.
func merged(node *kong.Node) *kong.Node {
	n := *node
	if n.DefaultCmd == nil {
		return &n
	}
	n.Positional = n.DefaultCmd.Positional
	n.Flags = append(append([]*kong.Flag{}, n.Flags...), n.DefaultCmd.Flags...)
	n.Children = nil
	for _, child := range node.Children {
		if child != n.DefaultCmd {
			n.Children = append(n.Children, child)
		}
	}
	return &n
}

// statusError gives an error its exit status.
type statusError struct {
	error
	status int
}

func (e statusError) Unwrap() error { return e.error }

// WithStatus returns err, or nil where err is nil, for a program that is to end with the given exit status.
func WithStatus(status int, err error) error {
	if err == nil {
		return nil
	}
	return statusError{error: err, status: status}
}

// errSaid stands for an error that the user has been told.
var errSaid = errors.New("")

// Exit returns an error that ends the program with the given exit status and without a word, or nil for StatusOK.
func Exit(status int) error {
	if status == StatusOK {
		return nil
	}
	return WithStatus(status, errSaid)
}

// report tells what went wrong and returns the exit status.
func (p *Program) report(w io.Writer, err error) int {
	status := p.status(err)
	switch {
	case err == nil || errors.Is(err, errSaid):
	case status == StatusInterrupted:
		fmt.Fprintf(w, "%s: interrupted\n", p.Name)
	default:
		fmt.Fprintf(w, "%s: %v\n", p.Name, err)
		if status == StatusUsage {
			fmt.Fprintf(w, "Run \"%s --help\" for the usage.\n", p.Name)
		}
	}
	return status
}

func (p *Program) status(err error) int {
	if err == nil {
		return StatusOK
	}
	if s := (statusError{}); errors.As(err, &s) {
		return s.status
	}
	if errors.Is(err, context.Canceled) {
		return StatusInterrupted
	}
	if failed := (*device.Fault)(nil); errors.As(err, &failed) {
		return StatusModel
	}
	for _, usage := range p.Usage {
		if errors.Is(err, usage) {
			return StatusUsage
		}
	}
	return StatusFailed
}
