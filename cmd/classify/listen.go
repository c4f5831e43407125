package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/live"
	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/detect"
)

// listener hears one live sound and tells its events. Its parts stand in a row: a goroutine reads (live.Reader), this one decodes, decides and
// reports, another one runs commands.
type listener struct {
	console  *console // standard error
	report   eventReport
	ear      *ear
	declared audio.Format // of raw sound
	explicit bool         // the user said so
	commands *errands     // nil without --exec
	device   *computing.Device
	clock    func() time.Time

	arrivals *live.Reader
	checks   *live.Checks // once the format is known
	lag      live.LagMeter
	late     bool // told
	diverged int  // decisions
	events   int
	summary  summary
}

// lateBy is how far behind the sound the listener may be before it says so, in seconds.
const lateBy = 1

// run listens to r until it ends or ctx is done, and returns the exit status.
func (l *listener) run(ctx context.Context, r io.Reader) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.arrivals = live.NewReader(ctx, r)
	var broken error // the output
	l.ear.begun = func(e detect.Event) {
		if err := l.tell(e); err != nil && broken == nil {
			broken = err
			cancel() // whoever reads the results has heard enough
		}
	}
	l.ear.failed = l.warnOnce
	err := l.listen()
	if l.commands != nil {
		l.commands.close(commandPatience)
	}
	interrupted := broken == nil && ctx.Err() != nil
	if broken == nil && err != nil && !interrupted {
		fmt.Fprintf(l.console, "classify: %s: %v\n", stdinName, err)
		l.summary.Failed++
		l.report.fail(stdinName, err)
	}
	l.sumUp(interrupted)
	if broken == nil {
		broken = l.report.close(l.summary)
	}
	switch {
	case broken != nil && !errors.Is(broken, syscall.EPIPE):
		fmt.Fprintf(l.console, "classify: %v\n", broken)
		return statusFailed
	case broken != nil || err != nil && !interrupted:
		return statusFailed
	case interrupted:
		fmt.Fprintln(l.console, "classify: interrupted")
		return statusInterrupted
	}
	return statusOK
}

// listen hears the sound to its end.
func (l *listener) listen() error {
	decoder, err := l.open()
	if err != nil {
		return err
	}
	src, err := audio.Resample(l.checks.Source(decoder), l.ear.rate)
	if err != nil {
		return err
	}
	samples := make([]float32, earBlock)
	for {
		n, err := src.Read(samples)
		if err := l.ear.push(samples[:n]); err != nil {
			return err
		}
		l.keepTime(n < len(samples))
		switch {
		case err == io.EOF:
			if note := decoder.Warning(); note != "" {
				l.warn(note)
			}
			return l.ear.end()
		case err != nil:
			return err
		}
	}
}

// open finds out what arrives and returns its decoder. A header counts more than what was declared.
func (l *listener) open() (*audio.Decoder, error) {
	in := bufio.NewReader(l.arrivals)
	start, err := in.Peek(12)
	if err != nil && err != io.EOF {
		return nil, err
	}
	container, err := audio.Sniff(start)
	if err != nil {
		return nil, err
	}
	if container == "" {
		l.checks = live.NewChecks(l.declared, l.warn)
		return audio.Raw(io.TeeReader(in, l.checks), l.declared.Encoding, l.declared.Rate, l.declared.Channels)
	}
	decoder, err := audio.Decode(in)
	if err != nil {
		return nil, err
	}
	f := decoder.Format()
	l.checks = live.NewChecks(f, l.warn)
	if d := l.declared; l.explicit && (f.Encoding != d.Encoding || f.Rate != d.Rate || f.Channels != d.Channels) {
		l.warn(fmt.Sprintf("the sound has a header that says %s: this counts, not --rate, --channels and --encoding", describe(f)))
	}
	return decoder, nil
}

// describe tells a format.
func describe(f audio.Format) string {
	encoding := f.Encoding.String()
	if f.Encoding == 0 {
		encoding = f.Container
	}
	return fmt.Sprintf("%d Hz, %d channels, %s", f.Rate, f.Channels, encoding)
}

// keepTime compares the sound's time with the clock's; all says whether all has been decoded that has been read.
func (l *listener) keepTime(all bool) {
	heard := l.ear.seconds()
	if at, ok := l.arrivals.CaughtUp(); ok && all {
		l.lag.CaughtUp(live.Mark{At: at, Seconds: heard})
		l.checks.CaughtUp(live.Mark{At: at, Seconds: heard})
	} else if l.arrivals.Flooded() {
		l.checks.Flooded()
	}
	if lag := l.lag.Lag(live.Mark{At: l.clock(), Seconds: heard}); lag > lateBy && !l.late {
		l.late = true
		l.warn(fmt.Sprintf("%.1f s behind the sound: the machine is too slow for it, or busy", lag))
	}
}

// tell reports an event and has its command run.
func (l *listener) tell(e detect.Event) error {
	d := newDetection("", e)
	d.Clock = l.clock().Format(clockFormat)
	l.events++
	l.report.detection(d)
	if err := l.report.flush(); err != nil {
		return err
	}
	if l.commands != nil {
		l.commands.add(d)
	}
	return nil
}

func (l *listener) warn(problem string) {
	fmt.Fprintf(l.console, "classify: %s: warning: %s\n", stdinName, problem)
}

// warnOnce tells of a decision that could not be taken; a live sound goes on.
func (l *listener) warnOnce(err error) {
	if l.diverged++; l.diverged == 1 {
		l.warn(err.Error())
	}
}

// sumUp fills the summary, and tells it.
func (l *listener) sumUp(interrupted bool) {
	stats := l.ear.stream.Stats()
	l.summary.Files, l.summary.Events, l.summary.Interrupted = 1, l.events, interrupted
	l.summary.AudioSeconds = seconds(l.ear.seconds())
	l.summary.Stream = &streamSummary{
		Decisions: stats.Decisions, Frames: stats.Frames, Gated: stats.Gated, Diverged: l.diverged, WorstLag: seconds(l.lag.Worst()),
	}
	var line bytes.Buffer
	fmt.Fprintf(&line, "classify: heard %.1f s: %d events, %d decisions", l.ear.seconds(), l.events, stats.Decisions)
	if stats.Gated > 0 {
		fmt.Fprintf(&line, ", %d of %d frames skipped as silence", stats.Gated, stats.Frames)
	}
	if l.diverged > 0 {
		fmt.Fprintf(&line, ", %d decisions not finite", l.diverged)
	}
	fmt.Fprintf(&line, ", at most %.2f s behind", l.lag.Worst())
	if c := l.commands; c != nil && c.left+c.failed+c.stopped > 0 {
		l.summary.Stream.CommandsFailed, l.summary.Stream.CommandsLeft = c.failed, c.left+c.stopped
		fmt.Fprintf(&line, ", %d commands failed, %d left out", c.failed, c.left+c.stopped)
	}
	fmt.Fprintf(l.console, "%s\n", line.Bytes())
}
