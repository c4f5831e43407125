// Package program runs polyphon's commands: it parses command lines, turns errors into messages and exit statuses, and
// makes help, shell completions and manual pages of the definitions of the flags.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/safe"
)

// Exit statuses.
const (
	StatusOK          = 0
	StatusFailed      = 1 // the work, or some of it, failed
	StatusUsage       = 2
	StatusModel       = 3 // the model or the device cannot be used
	StatusInterrupted = 130
)

// Program describes a command.
type Program struct {
	Name        string
	Does        string            // one sentence
	Statuses    [][2]string       // exit statuses and what they mean
	Environment [][2]string       // variables that no flag names, and what they do
	Examples    [][2]string       // command lines and what they do
	Texts       map[string]string // help, choices and defaults that tags of flags name by "${name}"
	Usage       []error           // errors that wrong usage wraps
}

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Commands are those of every program, to be embedded in its grammar.
type Commands struct {
	Completion Completion       `cmd:"" help:"${completion}"`
	Man        Manual           `cmd:"" help:"Print the manual page."`
	Version    kong.VersionFlag `help:"Print the version and exit."`
}

// Main is Run with the process's arguments and streams, in a context that SIGINT, SIGTERM and SIGHUP end. It exits with
// the status.
func (p *Program) Main(grammar any) {
	log.SetOutput(io.Discard) // the FLAC decoder logs a line a frame
	if err := checkAddressSpace(); err != nil {
		os.Exit(p.report(os.Stderr, nil, err))
	}
	os.Exit(p.runUntilSignal(func(ctx context.Context) int {
		return p.Run(ctx, os.Args[1:], Streams{os.Stdin, os.Stdout, os.Stderr}, grammar)
	}))
}

// Run parses args into grammar, a pointer to a struct with kong's tags, calls the Run method of the command that they
// choose, and returns the exit status. The method's parameters are a context.Context, Streams, a *Program or bindings,
// which kong finds by their types.
func (p *Program) Run(ctx context.Context, args []string, s Streams, grammar any, bindings ...any) int {
	exited, printed := -1, &printer{w: s.Out}
	parser, err := kong.New(grammar,
		kong.Name(p.Name), kong.Description(p.Does), kong.Help(printHelp),
		kong.KindMapper(reflect.String, kong.MapperFunc(decodeString)),
		kong.NamedMapper("path", kong.MapperFunc(decodePath)),
		kong.Writers(printed, s.Err), kong.Exit(func(code int) { exited = code }),
		kong.Vars{
			"version":    "polyphon " + Version(),
			"completion": "Print a script for command-line completion; its first line says where to put it.",
		},
		kong.PostBuild(p.putTexts),
	)
	if err != nil {
		panic(err) // the definitions of the flags are wrong
	}
	if len(args) > 1 && args[0] == completeCommand {
		fmt.Fprintln(s.Out, strings.Join(complete(parser.Model, args[1:]), "\n"))
		return StatusOK
	}
	parsed, err := parser.Parse(args)
	switch {
	case printed.err != nil:
		return p.report(s.Err, nil, printed.err)
	case exited >= 0: // --help and --version
		return exited
	case err != nil:
		var command *kong.Node
		if wrong, ok := errors.AsType[*kong.ParseError](err); ok {
			command = wrong.Context.Selected()
		}
		return p.report(s.Err, command, WithStatus(StatusUsage, err))
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return p.report(s.Err, parsed.Selected(), call(parsed, append(bindings, p, s)))
}

// putTexts puts p.Texts into the definitions of the flags. As variables of kong's they would cost a third of a second a
// command line under the race detector: kong expands all variables once for each flag.
func (p *Program) putTexts(k *kong.Kong) error {
	var pairs []string
	for name, text := range p.Texts {
		pairs = append(pairs, "${"+name+"}", text)
	}
	texts := strings.NewReplacer(pairs...)
	return kong.Visit(k.Model, func(visited kong.Visitable, next kong.Next) error {
		switch v := visited.(type) {
		case *kong.Node:
			v.Help = texts.Replace(v.Help)
		case *kong.Value:
			v.Help, v.Enum, v.Default = texts.Replace(v.Help), texts.Replace(v.Enum), texts.Replace(v.Default)
		}
		return next(nil)
	})
}

// printer keeps the error of writing help or a version, which kong loses or takes for wrong usage.
type printer struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (p *printer) Write(text []byte) (n int, err error) {
	n, err = p.w.Write(text)
	if err != nil {
		p.err = err
	}
	return n, err
}

// call runs the command. A device's failure that panics in its goroutine is its error.
func call(parsed *kong.Context, bindings []any) (err error) {
	defer func() {
		if fault := device.Recovered(recover()); fault != nil {
			err = fault
		}
	}()
	return parsed.Run(bindings...)
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

// merged returns a copy of a node that has the arguments and flags of its default command in place of that command.
func merged(node *kong.Node) *kong.Node {
	n := *node
	if n.DefaultCmd != nil {
		n.Positional = n.DefaultCmd.Positional
		n.Flags = slices.Concat(n.Flags, n.DefaultCmd.Flags)
		n.Children = slices.DeleteFunc(slices.Clone(n.Children), func(c *kong.Node) bool { return c == n.DefaultCmd })
	}
	return &n
}

// statusError is an error with its exit status.
type statusError struct {
	error
	status int
}

func (e statusError) Unwrap() error { return e.error }

// WithStatus returns err with the exit status that the program is to end with, or nil where err is nil.
func WithStatus(status int, err error) error {
	if err == nil {
		return nil
	}
	return statusError{error: err, status: status}
}

// errReported stands for an error that has been printed.
var errReported = errors.New("")

// Exit returns an error that ends the program with the given exit status and prints nothing; nil for StatusOK.
func Exit(status int) error {
	if status == StatusOK {
		return nil
	}
	return WithStatus(status, errReported)
}

// report prints an error of a command, nil for the program itself, and returns the exit status.
func (p *Program) report(w io.Writer, command *kong.Node, err error) int {
	status := p.status(err)
	switch {
	case err == nil || errors.Is(err, errReported):
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(w, "%s: interrupted\n", p.Name)
	default:
		safe.Fprintf(w, "%s: %v\n", p.Name, err)
		if status == StatusUsage {
			help := p.Name
			if command != nil && command.Parent.DefaultCmd != command {
				help += " " + command.Name
			}
			fmt.Fprintf(w, "Run \"%s --help\" for the usage.\n", help)
		}
	}
	return status
}

func (p *Program) status(err error) int {
	withStatus, has := errors.AsType[statusError](err)
	_, failed := errors.AsType[*device.Fault](err)
	switch {
	case err == nil:
		return StatusOK
	case has:
		return withStatus.status
	case errors.Is(err, context.Canceled):
		return StatusInterrupted
	case failed:
		return StatusModel
	case slices.ContainsFunc(p.Usage, func(usage error) bool { return errors.Is(err, usage) }):
		return StatusUsage
	}
	return StatusFailed
}
