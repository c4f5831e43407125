package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kballard/go-shellquote"
	"github.com/polyphon/polyphon/internal/safe"
)

// commandTemplate is a command line with placeholders for what is known of an event. It is split into arguments before
// anything is put in, so whatever a label holds stays inside its argument, and no shell reads it.
type commandTemplate []string

// placeholders are those of a template.
var placeholders = []string{"{label}", "{p}", "{time}", "{start}", "{end}", "{clock}"}

// inBraces finds what looks like a placeholder.
var inBraces = regexp.MustCompile(`\{[a-z_]+\}`)

// parseCommand splits a command line as a shell does, quotes and backslashes included, and finds its program. The
// labels are those that may be put in.
func parseCommand(line string, labels []string) (commandTemplate, error) {
	words, err := shellquote.Split(line)
	if err != nil {
		return nil, fmt.Errorf("--exec %q: %w", line, err)
	}
	if len(words) == 0 {
		return nil, errors.New("--exec without a command")
	}
	if inBraces.MatchString(words[0]) {
		return nil, fmt.Errorf("--exec %q: the program to run cannot depend on the event", line)
	}
	for _, name := range inBraces.FindAllString(strings.Join(words, " "), -1) {
		if !slices.Contains(placeholders, name) {
			return nil, fmt.Errorf("--exec %q: %s is none of %s", line, name, strings.Join(placeholders, " "))
		}
	}
	if label, ok := asOption(words[1:], labels); ok {
		return nil, fmt.Errorf("--exec %q: %s would take the label %q for an option; write -- before {label}",
			line, words[0], label)
	}
	if words[0], err = exec.LookPath(words[0]); err != nil {
		return nil, fmt.Errorf("--exec: %w", err)
	}
	return words, nil
}

// asOption returns a label that begins with a dash, where an argument before any "--" begins with the label.
func asOption(args, labels []string) (label string, ok bool) {
	at := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "{label}") })
	if ends := slices.Index(args, "--"); at < 0 || ends >= 0 && ends < at {
		return "", false
	}
	i := slices.IndexFunc(labels, func(label string) bool { return strings.HasPrefix(label, "-") })
	if i < 0 {
		return "", false
	}
	return labels[i], true
}

// command returns the arguments for an event.
func (c commandTemplate) command(e event) []string {
	fill := strings.NewReplacer("{label}", string(e.Label), "{p}", e.P.String(), "{time}", e.Time.String(),
		"{start}", e.Start.String(), "{end}", e.End.String(), "{clock}", e.Clock)
	words := slices.Clone(c)
	for i := range words {
		words[i] = fill.Replace(words[i]) // in one pass: what is put in is not searched
	}
	return words
}

// runner runs a command for each event, one after the other, while the sound goes on.
type runner struct {
	template commandTemplate
	console  *console
	queue    chan event
	cancel   context.CancelFunc
	worker   sync.WaitGroup

	left    int // commands for which there was no room; after close, also those that were not begun
	failed  int // of the others; complete after close, as what follows
	cut     int // killed by close
	stopped int // not begun before close ended

	mu      sync.Mutex
	running *exec.Cmd // nil: none
	killed  bool
}

const (
	commandsQueued = 16
	commandTimeout = 5 * time.Second // for what is queued, at the end
	outputTimeout  = time.Second     // a grandchild may hold the output open
)

func newRunner(t commandTemplate, out *console) *runner {
	ctx, cancel := context.WithCancel(context.Background())
	r := &runner{template: t, console: out, queue: make(chan event, commandsQueued), cancel: cancel}
	r.worker.Go(func() {
		for e := range r.queue {
			r.run(ctx, e)
		}
	})
	return r
}

// add queues the command for an event, and leaves it out when too many wait.
func (r *runner) add(e event) {
	select {
	case r.queue <- e:
	default:
		r.left++
		safe.Fprintf(r.console, "classify: --exec: %d commands wait, the one for %q at %v s is left out\n",
			cap(r.queue), e.Label, e.Time)
	}
}

// run runs the command for one event. The Ctrl-C that ends this program does not reach it.
func (r *runner) run(ctx context.Context, e event) {
	if ctx.Err() != nil {
		r.stopped++
		return
	}
	words := r.template.command(e)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = r.console.forChild(), r.console.forChild()
	cmd.WaitDelay = outputTimeout
	cmd.Cancel = func() error { return killGroup(cmd) }
	ownGroup(cmd)
	err := r.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	r.mu.Lock()
	r.running = nil
	r.mu.Unlock()
	switch {
	case err == nil:
	case ctx.Err() != nil:
		r.cut++
		safe.Fprintf(r.console, "classify: --exec: %s for %q at %v s was cut off\n", words[0], e.Label, e.Time)
	default:
		r.failed++
		safe.Fprintf(r.console, "classify: --exec: %s for %q at %v s: %v\n", words[0], e.Label, e.Time, err)
	}
}

func (r *runner) start(cmd *exec.Cmd) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.killed {
		return context.Canceled
	}
	err := cmd.Start()
	if err == nil {
		r.running = cmd
	}
	return err
}

// kill kills the command that runs, at once, and begins no other.
func (r *runner) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed = true
	if r.running != nil {
		killGroup(r.running)
	}
}

// close waits for the commands that are queued until the timeout. Then it kills the one that runs and leaves out the
// rest. It reports whether all were run to their ends.
func (r *runner) close(timeout time.Duration) bool {
	close(r.queue)
	timer := time.AfterFunc(timeout, func() {
		fmt.Fprintf(r.console, "classify: --exec: not done after %v, stopped\n", timeout)
		r.cancel()
	})
	r.worker.Wait()
	timer.Stop()
	r.cancel()
	r.left += r.stopped
	return r.cut+r.stopped == 0
}

// console is standard error, shared by goroutines.
type console struct {
	mu sync.Mutex
	w  io.Writer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.w.Write(p)
}

// forChild returns what a child process writes to: the file itself where it is one, which needs no goroutine.
func (c *console) forChild() io.Writer {
	if f, ok := c.w.(*os.File); ok {
		return f
	}
	return c
}
