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
)

// commandTemplate is a command line with places for what an event says. It is split into arguments before anything is put in, so
// whatever a label holds stays inside its argument, and no shell reads it.
type commandTemplate []string

// places are what a template's braces may name.
var places = []string{"{label}", "{p}", "{time}", "{start}", "{end}", "{clock}"}

// inBraces finds what looks like a place.
var inBraces = regexp.MustCompile(`\{[a-z_]+\}`)

// parseCommand splits a command line as a shell does, quotes and backslashes included, and finds its program. The labels are
// those that may be put in.
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
	for _, word := range words {
		for _, name := range inBraces.FindAllString(word, -1) {
			if !slices.Contains(places, name) {
				return nil, fmt.Errorf("--exec %q: %s is none of %s", line, name, strings.Join(places, " "))
			}
		}
	}
	if label, ok := asOption(words[1:], labels); ok {
		return nil, fmt.Errorf("--exec %q: %s would take the label %q for an option; write -- in front of {label}", line, words[0], label)
	}
	if words[0], err = exec.LookPath(words[0]); err != nil {
		return nil, fmt.Errorf("--exec: %w", err)
	}
	return words, nil
}

// asOption returns a label that begins with a dash, where the arguments let it begin one of theirs in front of any "--".
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
func (c commandTemplate) command(d detection) []string {
	fill := strings.NewReplacer(
		"{label}", d.Label, "{p}", d.P.String(), "{time}", d.Time.String(), "{start}", d.Start.String(), "{end}", d.End.String(), "{clock}", d.Clock)
	words := slices.Clone(c)
	for i := range words {
		words[i] = fill.Replace(words[i]) // in one pass: what is put in is not searched
	}
	return words
}

// errands runs a command for each event, one after the other and beside the sound.
type errands struct {
	template commandTemplate
	console  *console
	queue    chan detection
	cancel   context.CancelFunc
	worker   sync.WaitGroup

	left    int // commands for which there was no room
	failed  int // of the others; complete after close, like stopped
	stopped int // that were not begun before patience was at an end
}

const (
	commandsQueued  = 16
	commandPatience = 5 * time.Second // for what is queued, at the end
)

func newErrands(t commandTemplate, out *console) *errands {
	ctx, cancel := context.WithCancel(context.Background())
	c := &errands{template: t, console: out, queue: make(chan detection, commandsQueued), cancel: cancel}
	c.worker.Go(func() {
		for d := range c.queue {
			c.run(ctx, d)
		}
	})
	return c
}

// add queues the command for an event, and leaves it out when too many wait.
func (c *errands) add(d detection) {
	select {
	case c.queue <- d:
	default:
		c.left++
		fmt.Fprintf(c.console, "classify: --exec: %d commands wait, the one for %q at %v s is left out\n", cap(c.queue), d.Label, d.Time)
	}
}

// run runs the command for one event.
func (c *errands) run(ctx context.Context, d detection) {
	if ctx.Err() != nil {
		c.stopped++
		return
	}
	words := c.template.command(d)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = c.console.forChild(), c.console.forChild()
	cmd.WaitDelay = time.Second // a grandchild may hold the output open
	if err := cmd.Run(); err != nil {
		c.failed++
		fmt.Fprintf(c.console, "classify: --exec: %s for %q at %v s: %v\n", words[0], d.Label, d.Time, err)
	}
}

// close waits for the commands that are queued, for as long as patience lasts; what runs then is killed, and the rest is left out.
func (c *errands) close(patience time.Duration) {
	close(c.queue)
	impatient := time.AfterFunc(patience, func() {
		fmt.Fprintf(c.console, "classify: --exec: not done after %v, stopped\n", patience)
		c.cancel()
	})
	c.worker.Wait()
	impatient.Stop()
	c.cancel()
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
