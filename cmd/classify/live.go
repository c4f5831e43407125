package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/live"
	"github.com/polyphon/polyphon/audio/microphone"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
)

// listener reports the events of live sound. A goroutine reads the sound, this one decodes and computes, and another
// one runs commands.
type listener struct {
	recognizer *polyphon.Recognizer
	console    *console
	format     format
	declared   audio.Format // of raw sound
	explicit   bool         // flags say so
	recorded   bool         // nothing but raw sound can come: it is not searched for a header
	source     string       // of the sound, for messages
	only       labelSet
	watch      *driftWatch
	saver      *saver
	commands   *runner // nil without --exec
	clock      func() time.Time

	input   *live.Reader
	checks  *live.Checks
	lag     live.LagMeter
	late    bool     // reported
	noted   []string // warnings about the sound so far
	stats   polyphon.ListenStats
	summary summary
	broken  error // of the output
}

const (
	maxLag     = 1               // seconds behind the sound that are not worth a warning
	patience   = 5 * time.Second // without any sound that are not worth a warning
	livePieces = 4096            // samples that are decoded at a time, at most

	// outputHold is how long results may take to be written after an interruption: a reader may have stopped reading.
	outputHold = 2 * time.Second
)

// listen classifies live sound on the standard input, or what a microphone records if recorded is not nil.
func (c *cli) listen(ctx context.Context, s program.Streams, l *loaded, recorded *microphone.Recording) error {
	ls, err := c.newListener(ctx, s, l)
	if err != nil {
		return err
	}
	in := s.In
	if recorded != nil {
		in, ls.declared, ls.recorded, ls.source = recorded, recorded.Format, true, recorded.Device.Name
	}
	defer ls.saver.close()
	debug.FreeOSMemory() // what loading has left behind would stay for as long as the sound goes on

	// Otherwise the signal would end the program without a summary when nobody reads the events any more.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	err = ls.run(ctx, in)
	return errors.Join(err, program.WithStatus(program.StatusModel, l.device.Close()))
}

func (c *cli) newListener(ctx context.Context, s program.Streams, l *loaded) (ls *listener, err error) {
	o := c.formatOptions(l, survey{}, 1)
	o.summary.Files, o.summary.Hop = 1, seconds(c.Hop)
	ls = &listener{
		recognizer: l.Recognizer, console: &console{w: s.Err}, format: newFormat(s.Out, o), summary: o.summary,
		declared: c.Live.format(), explicit: c.Live.declared(), source: stdinName, only: l.only, watch: l.watch,
		clock: time.Now,
	}
	if c.Live.Exec != "" {
		template, err := parseCommand(c.Live.Exec, l.Model().Labels)
		if err != nil {
			return nil, program.WithStatus(program.StatusUsage, err)
		}
		ls.commands = newRunner(template, ls.console)
		program.OnAbort(ctx, ls.commands.kill)
	}
	ls.saver, err = newSaver(c.Events.Save, l.Model().Features.Rate)
	return ls, err
}

// run processes r until it ends or ctx is done.
func (l *listener) run(ctx context.Context, r io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.input = live.NewReader(ctx, r)
	l.input.Watch(patience, func() {
		l.warn(fmt.Sprintf("nothing has arrived for %v: the source of the sound may have stopped", patience))
	}, func(after time.Duration) {
		l.warn(fmt.Sprintf("sound arrives again, after %.1f s without any", after.Seconds()))
	})
	defer program.Hold(ctx, outputHold)()
	err := l.process()
	allRun := l.finishCommands(ctx)
	fault, failed := errors.AsType[*device.Fault](err)
	interrupted := ctx.Err() != nil && l.broken == nil
	if err != nil && l.broken == nil && !failed && !interrupted {
		l.fail(err)
	}
	l.sumUp(interrupted)
	if l.broken == nil {
		l.broken = l.format.Close(l.summary)
	}
	switch {
	case l.broken != nil && !program.BrokenPipe(l.broken):
		return l.broken
	case failed:
		return fault
	case interrupted:
		return ctx.Err()
	case l.broken != nil || l.summary.Failed > 0 || !allRun:
		return program.Exit(program.StatusFailed)
	}
	return nil
}

// finishCommands gives the commands that are queued some time, and reports whether all were run to their ends.
func (l *listener) finishCommands(ctx context.Context) bool {
	if l.commands == nil {
		return true
	}
	defer program.Hold(ctx, commandTimeout+outputTimeout+outputHold)()
	return l.commands.close(commandTimeout)
}

// process reports the events of the input until it ends.
func (l *listener) process() error {
	decoder, err := l.open()
	if err != nil {
		return err
	}
	defer decoder.Close()
	stream, err := l.recognizer.Listen(polyphon.Format{Rate: decoder.Rate()})
	if err != nil {
		return err
	}
	defer stream.Close()
	samples := make([]float32, livePieces)
	for err == nil {
		var n int
		before := l.stats.Seconds
		n, err = decoder.Read(samples)
		if at, ok := l.input.Resumed(); ok {
			l.lag.Resumed(live.Mark{At: at, Seconds: before})
		}
		l.checks.Levels(samples[:n])
		if err := l.take(stream, stream.Push(samples[:n])); err != nil {
			return err
		}
		l.keepTime(n < len(samples))
		l.note(decoder.Warning())
	}
	if err != io.EOF {
		return err
	}
	return l.take(stream, stream.Flush())
}

// open finds out what arrives and returns its decoder. A header counts more than what was declared.
func (l *listener) open() (*audio.Decoder, error) {
	in, d, container := bufio.NewReader(l.input), l.declared, ""
	if !l.recorded {
		var err error
		if container, err = audio.Sniff(in); err != nil {
			return nil, err
		}
	}
	if container == "" {
		l.checks = live.NewChecks(d, l.warn)
		return audio.Raw(io.TeeReader(in, l.checks), d.Encoding, d.Rate, d.Channels)
	}
	decoder, err := audio.Decode(in)
	if err != nil {
		return nil, err
	}
	f := decoder.Format()
	l.checks = live.NewChecks(f, l.warn)
	if l.explicit && (f.Encoding != d.Encoding || f.Rate != d.Rate || f.Channels != d.Channels) {
		encoding := f.Encoding.String()
		if f.Encoding == 0 {
			encoding = f.Container
		}
		l.warn(fmt.Sprintf("the sound has a header that says %d Hz, %d channels, %s: "+
			"this counts, not --rate, --channels and --encoding", f.Rate, f.Channels, encoding))
	}
	return decoder, nil
}

// take reports what stream has found since the last call. err is that of the call which computed it.
func (l *listener) take(stream *polyphon.Listener, err error) error {
	before := l.stats.Diverged
	l.stats = stream.Stats()
	if before == 0 && l.stats.Diverged > 0 {
		l.warn(l.stats.FirstErr.Error()) // live sound goes on
	}
	if drift := l.watch.news(); drift != "" {
		fmt.Fprintf(l.console, "classify: %s\n", drift)
	}
	for _, found := range stream.Events() {
		if !l.only.has(found.Label) {
			continue
		}
		e := records.NewLiveEvent(found, l.clock())
		if found.Near {
			if err := l.saver.save(e, found); err != nil {
				l.fail(err)
			}
			continue
		}
		l.summary.Events++
		l.format.Event(e)
		if l.broken = l.format.Flush(); l.broken != nil {
			return l.broken
		}
		if err := l.saver.save(e, found); err != nil {
			l.fail(err)
		}
		if l.commands != nil {
			l.commands.add(e)
		}
	}
	return err
}

// keepTime compares the time of the sound with the clock. all says that all that has been read is decoded.
func (l *listener) keepTime(all bool) {
	if at, ok := l.input.CaughtUp(); ok && all {
		l.lag.CaughtUp(live.Mark{At: at, Seconds: l.stats.Seconds})
		l.checks.CaughtUp(live.Mark{At: at, Seconds: l.stats.Seconds})
	} else if l.input.Flooded() {
		l.checks.Flooded()
	}
	if lag := l.lag.Lag(live.Mark{At: l.clock(), Seconds: l.stats.Seconds}); lag > maxLag && !l.late {
		l.late = true
		l.warn(fmt.Sprintf("%.1f s behind the sound: the machine is too slow for it, or busy", lag))
	}
}

// note reports the sentences of a warning that are new.
func (l *listener) note(warning string) {
	for sentence := range strings.SplitSeq(warning, "; ") {
		if sentence != "" && !slices.Contains(l.noted, sentence) {
			l.noted = append(l.noted, sentence)
			l.warn(sentence)
		}
	}
}

func (l *listener) warn(problem string) {
	safe.Fprintf(l.console, "classify: %s: warning: %s\n", l.source, problem)
}

// fail reports a failure.
func (l *listener) fail(err error) {
	l.summary.Failed = 1
	safe.Fprintf(l.console, "classify: %s: %v\n", l.source, err)
	l.format.Fail(failure{File: safe.String(l.source), Error: safe.String(err.Error())})
}

// sumUp completes the summary and reports it.
func (l *listener) sumUp(interrupted bool) {
	s := l.stats
	summary := &records.StreamSummary{
		Decisions: s.Decisions, Frames: s.Frames, Gated: s.Gated, Diverged: s.Diverged, WorstLag: seconds(l.lag.Worst),
	}
	line := fmt.Sprintf("processed %.1f s: %d events, ", s.Seconds, l.summary.Events)
	if s.Refused > 0 {
		line += fmt.Sprintf("%d refused, ", s.Refused)
	}
	line += fmt.Sprintf("%d decisions", s.Decisions)
	if s.Gated > 0 {
		line += fmt.Sprintf(", %d of %d frames skipped as silence", s.Gated, s.Frames)
	}
	if s.Diverged > 0 {
		line += fmt.Sprintf(", %d decisions not finite", s.Diverged)
	}
	line += fmt.Sprintf(", at most %.2f s behind", l.lag.Worst)
	if c := l.commands; c != nil && c.left+c.failed+c.cut > 0 {
		summary.CommandsFailed, summary.CommandsCut, summary.CommandsLeft = c.failed, c.cut, c.left
		line += fmt.Sprintf(", %d commands failed, %d cut off, %d left out", c.failed, c.cut, c.left)
	}
	fmt.Fprintf(l.console, "classify: %s\n", line)
	l.summary.AudioSeconds, l.summary.Interrupted, l.summary.Stream = seconds(s.Seconds), interrupted, summary
	l.summary.Refused, l.summary.Drift = s.Refused, l.watch.summary()
}
