package main

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/cmd/internal/program"
)

// TestStreamWhoseSourceStops feeds live sound by a clock that is not real, with pauses after which what is missing
// comes at once. The source is late then, not the machine.
func TestStreamWhoseSourceStops(t *testing.T) {
	const (
		period  = rate / 8
		stopped = "classify: -: warning: nothing has arrived for 5s: the source of the sound may have stopped\n"
	)
	sound := raw(audio.S16LE, slices.Concat(threeSounds(), threeSounds()))
	for _, c := range []struct {
		name   string
		pauses map[int]time.Duration // before the period of the number
		late   bool                  // what the pause has held back comes at once
		want   string
	}{
		{"without a pause", nil, false, ""},
		{"a short pause", map[int]time.Duration{40: 3 * time.Second}, true, ""},
		{"a pause without sound", map[int]time.Duration{40: 8 * time.Second}, false,
			stopped + "classify: -: warning: sound arrives again, after 8.1 s without any\n"},
		{"a pause that holds sound back", map[int]time.Duration{40: 12 * time.Second}, true,
			stopped + "classify: -: warning: sound arrives again, after 12.1 s without any\n"},
		{"two pauses", map[int]time.Duration{40: 6 * time.Second, 60: 7 * time.Second}, true,
			stopped + "classify: -: warning: sound arrives again, after 6.1 s without any\n" +
				stopped + "classify: -: warning: sound arrives again, after 7.1 s without any\n"},
	} {
		var cli cli
		cli.Model, cli.Format, cli.Live.Stream = loudness(t), "ndjson", true
		var out, errs bytes.Buffer
		model, err := cli.load(&errs)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			l, err := cli.newListener(t.Context(), program.Streams{Out: &out, Err: &errs}, model)
			if err != nil {
				t.Fatal(err)
			}
			in, feed := io.Pipe()
			go func() {
				rest := sound
				for i := 0; len(rest) > 0; i++ {
					size := 2 * period
					if time.Sleep(time.Second/8 + c.pauses[i]); c.late {
						size += int(2 * rate * c.pauses[i].Seconds())
					}
					size = min(size, len(rest))
					feed.Write(rest[:size])
					rest = rest[size:]
				}
				feed.Close()
			}()
			expect(t, c.name, l.run(t.Context(), in), nil)
		})
		events := parse(t, out.String())
		s := events[len(events)-1]
		if want := c.want + "classify: processed 26.0 s: "; !bytes.HasPrefix(errs.Bytes(), []byte(want)) {
			t.Errorf("%s: stderr %s", c.name, errs.String())
		}
		if s.Stream == nil || s.Stream.WorstLag > 0.2 {
			t.Errorf("%s: %+v", c.name, s.Stream)
		}
	}
}
