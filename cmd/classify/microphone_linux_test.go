package main

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/internal/pulsetest"
)

// TestListenFindsTheEventsOfAFile plays a recording to the microphone, and compares the events with those that
// --stream finds in it.
func TestListenFindsTheEventsOfAFile(t *testing.T) {
	need.Long(t, "plays sound at its own speed")
	server := pulsetest.Start(t)
	clip := func(name string) []float32 { return spoken(t, name, 1) }
	quiet := make([]float32, rate)
	sound := raw(audio.S16LE,
		slices.Concat(quiet, clip("left.wav"), quiet, clip("stop.wav"), quiet, clip("yes.wav"), quiet))
	var want bytes.Buffer
	status := runCommand(t.Context(), []string{"--stream", "--format", "ndjson"},
		program.Streams{In: bytes.NewReader(sound), Out: &want, Err: io.Discard})
	expect(t, "status of --stream", status, statusOK)

	ctx, stop := context.WithCancel(t.Context())
	var out bytes.Buffer
	errs := &watched{lines: make(chan string, 100)}
	done := make(chan int)
	go func() {
		done <- runCommand(ctx, []string{"listen", "--format", "ndjson", "--device", pulsetest.Monitor},
			program.Streams{Out: &out, Err: errs})
	}()
	contains(t, "first line", <-errs.lines, "recording from speaker.monitor (Monitor of Speaker), 16000 Hz")
	server.Play(sound)
	time.Sleep(time.Second)
	stop()
	expect(t, "status", <-done, statusInterrupted)
	expect(t, "warnings", strings.Count(errs.all.String(), "warning"), 0)
	labels := func(out string) (list []string) {
		for _, e := range parse(t, out) {
			if e.Event == "detection" {
				list = append(list, e.Label)
			}
		}
		return list
	}
	expect(t, "events of a file", labels(want.String()), []string{"left", "stop", "yes"})
	expect(t, "events of the microphone", labels(out.String()), labels(want.String()))
}

func TestListenEndsWithTheSoundServer(t *testing.T) {
	server := pulsetest.Start(t)
	time.AfterFunc(500*time.Millisecond, server.Kill)
	status, out, errs := classify(t, nil, "listen", "--format", "ndjson", "--model", loudness(t))
	expect(t, "status", status, statusFailed)
	contains(t, "stderr", errs, "classify: speaker.monitor: the sound server ended the recording")
	expect(t, "events", outline(parse(t, out)), "[error speaker.monitor summary 1/1]")
}

func TestListenUsage(t *testing.T) {
	pulsetest.Start(t)
	status, out, errs := classify(t, nil, "listen", "--list-devices")
	expect(t, "status", status, statusOK)
	expect(t, "list", out, "* speaker.monitor  Monitor of Speaker  16000 Hz  1 channels\n")
	expect(t, "stderr", errs, "")
	model := loudness(t)
	for args, want := range map[string]struct {
		status  int
		message string
	}{
		"--device usb":      {statusFailed, `there is no microphone "usb" (there are: speaker.monitor)`},
		"--encoding f64le":  {statusFailed, "sound servers do not deliver f64le"},
		"--channels 40":     {statusFailed, "at most 32 channels"},
		"--rate 10":         {statusUsage, "--rate 10: 4000 to 384000 are read"},
		"--format json":     {statusUsage, "--format"},
		"--windows":         {statusUsage, "--windows is about recordings"},
		"--coverage 0.9":    {statusUsage, "--coverage is about recordings"},
		"--exec {label}":    {statusUsage, "cannot depend"},
		"--model none.file": {statusModel, "none.file"},
	} {
		status, out, errs := classify(t, nil, append([]string{"listen", "--model", model}, strings.Fields(args)...)...)
		expect(t, args, status, want.status)
		expect(t, args+": stdout", out, "")
		contains(t, args, errs, want.message)
	}
	t.Setenv("PULSE_SERVER", "unix:/nowhere")
	status, _, errs = classify(t, nil, "listen", "--list-devices")
	expect(t, "status without a sound server", status, statusFailed)
	contains(t, "without a sound server", errs, "arecord -q -t raw -f S16_LE -r 16000 -c 1 | classify --stream")
}
