package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/need"
)

// threeSounds is 13 s of silence with loud sounds from 2 to 3, from 5 to 6 and from 9 to 11 s.
func threeSounds() []float32 {
	quiet := func(seconds int) []float32 { return noise(seconds*rate, silent) }
	one := noise(rate, loud)
	return slices.Concat(quiet(2), one, quiet(2), one, quiet(3), noise(2*rate, loud), quiet(2))
}

var threeEvents = [][2]float64{{2, 3}, {5, 6}, {9, 11}}

// soundFlags make the loudness model's opinion of a second of noise an event.
var soundFlags = []string{
	"--threshold", "0.7", "--smoothing", "0.2", "--min-duration", "0.1", "--refractory", "1.2", "--release", "0.5",
}

// stream runs classify --stream over in.
func stream(t *testing.T, in io.Reader, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	all := slices.Concat([]string{"--stream", "--model", loudness(t)}, soundFlags, args)
	status = runCommand(t.Context(), all, program.Streams{In: in, Out: &o, Err: &e})
	return status, o.String(), e.String()
}

// checkEvents compares events with where the sounds are, and returns the detections.
func checkEvents(t *testing.T, what, out string, want [][2]float64) []ndjson {
	t.Helper()
	var found []ndjson
	for _, e := range parse(t, out) {
		if e.Event == "detection" {
			found = append(found, e)
		}
	}
	ok := len(found) == len(want)
	for i := 0; ok && i < len(want); i++ {
		e := found[i]
		ok = e.Label == "loud" && math.Abs(e.Start-want[i][0]) < 0.5 && e.End > e.Start && e.End < want[i][1]+0.5 &&
			e.Time > e.Start && e.P >= 0.7
	}
	if !ok {
		t.Errorf("%s: events %s, want loud sounds at %v", what, outline(found), want)
	}
	return found
}

func TestStreamFindsEvents(t *testing.T) {
	sound := raw(audio.S16LE, threeSounds())
	status, out, errs := stream(t, bytes.NewReader(sound), "--format", "ndjson")
	expect(t, "status", status, statusOK)
	contains(t, "summary", errs, "classify: processed 13.0 s: 3 events, ")
	expect(t, "lines on stderr", strings.Count(errs, "\n"), 1)
	found := checkEvents(t, "ndjson", out, threeEvents)
	for _, e := range found {
		if e.End > e.Time {
			t.Errorf("the end %g lies ahead of the time %g", e.End, e.Time)
		}
		if _, err := time.Parse(time.RFC3339, e.Clock); err != nil {
			t.Errorf("clock: %v", err)
		}
	}
	events := parse(t, out)
	s := events[len(events)-1]
	summary := fmt.Sprint(s.Event, s.Files, s.Failed, s.AudioSeconds, s.Events, s.Interrupted)
	expect(t, "summary", summary, "summary1 0 13 3 false")
	if n := s.Stream; n == nil || n.Decisions < 13*12 || n.Frames < 1300 || n.Gated != 0 || n.WorstLag > 5 {
		t.Errorf("summary %+v", n)
	}

	_, out, _ = stream(t, bytes.NewReader(sound))
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "  loud ") || !strings.Contains(lines[0], " %  at ") {
		t.Errorf("text:\n%s", out)
	}
	_, out, _ = stream(t, bytes.NewReader(sound), "--format", "csv", "-")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	const header = "kind,time,start,end,clock,label,p"
	if err != nil || len(rows) != 4 || strings.Join(rows[0], ",") != header || rows[1][5] != "loud" {
		t.Errorf("csv: %v\n%s", err, out)
	}
	_, out, _ = stream(t, bytes.NewReader(sound), "--format", "audacity")
	for line := range strings.Lines(out) {
		var start, end float64
		var label string
		if n, err := fmt.Sscanf(line, "%f\t%f\t%s\n", &start, &end, &label); n != 3 || label != "loud" || end <= start {
			t.Errorf("label track: %v in %q", err, line)
		}
	}
	expect(t, "labels", strings.Count(out, "\n"), 3)
}

// chopped delivers a sound in random pieces.
type chopped struct {
	rest []byte
	rng  *rand.Rand
}

func (c *chopped) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1+c.rng.IntN(1+c.rng.IntN(9000)))], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// interleave returns the samples as every channel of so many.
func interleave(samples []float32, channels int) []float32 {
	var all []float32
	for _, v := range samples {
		for range channels {
			all = append(all, v)
		}
	}
	return all
}

// TestStreamReadsEverything expects the same events whatever the sound is written as and however it is cut.
func TestStreamReadsEverything(t *testing.T) {
	sounds := threeSounds()
	for seed, c := range []struct {
		encoding audio.Encoding
		channels int
		rate     int
	}{
		{audio.S16LE, 1, 16000}, {audio.S24LE, 1, 16000}, {audio.S32LE, 2, 16000}, {audio.F32LE, 1, 44100},
		{audio.ALaw, 1, 16000}, {audio.MuLaw, 2, 48000}, {audio.S16LE, 6, 22050}, {audio.S24LE, 2, 48000},
		{audio.F64LE, 1, 32000}, {audio.U8, 3, 16000},
	} {
		src, err := audio.Resample(audio.Clip{Rate: rate, Samples: sounds}.Source(), c.rate)
		if err != nil {
			t.Fatal(err)
		}
		clip, err := audio.ReadAll(src, 0)
		if err != nil {
			t.Fatal(err)
		}
		in := &chopped{raw(c.encoding, interleave(clip.Samples, c.channels)), rand.New(rand.NewPCG(uint64(seed), 1))}
		name := fmt.Sprintf("%v, %d channels, %d Hz", c.encoding, c.channels, c.rate)
		status, out, errs := stream(t, in, "--format", "ndjson",
			"--encoding", c.encoding.String(), "--channels", fmt.Sprint(c.channels), "--rate", fmt.Sprint(c.rate))
		expect(t, name, status, statusOK)
		if strings.Contains(errs, "warning") {
			t.Errorf("%s: %s", name, errs)
		}
		checkEvents(t, name, out, threeEvents)
	}
}

// TestStreamDoesNotDependOnPieces compares the events of many ways to cut a sound, up to the time of the decision.
func TestStreamDoesNotDependOnPieces(t *testing.T) {
	sound := raw(audio.S16LE, threeSounds())
	var want []string
	for seed := range uint64(5) {
		var in io.Reader = bytes.NewReader(sound)
		if seed > 0 {
			in = &chopped{sound, rand.New(rand.NewPCG(seed, 1))}
		}
		_, out, _ := stream(t, in, "--format", "ndjson")
		var got []string
		for _, e := range checkEvents(t, "pieces", out, threeEvents) {
			got = append(got, fmt.Sprintf("%.3f-%.3f %.4f", e.Start, e.End, e.P))
		}
		if seed == 0 {
			want = got
		}
		expect(t, "events", got, want)
	}
}

// endless writes sizes into a WAV file's header that stand for a pipe.
func endless(sound []byte, size uint32) []byte {
	sound = bytes.Clone(sound)
	at := bytes.Index(sound, []byte("data"))
	binary.LittleEndian.PutUint32(sound[4:], size)
	binary.LittleEndian.PutUint32(sound[at+4:], size)
	return sound
}

func TestStreamReadsWAV(t *testing.T) {
	for _, size := range []uint32{0xFFFFFFFF, 0x80000000, 0x7FFFF000, 0} {
		in := &chopped{endless(wav(threeSounds()), size), rand.New(rand.NewPCG(1, 1))}
		status, out, errs := stream(t, in, "--format", "ndjson")
		expect(t, "status", status, statusOK)
		expect(t, "warnings", strings.Count(errs, "warning"), 0)
		checkEvents(t, "WAV", out, threeEvents)
	}
	_, out, errs := stream(t, bytes.NewReader(wav(threeSounds())),
		"--format", "ndjson", "--rate", "44100", "--encoding", "f32le")
	checkEvents(t, "declared otherwise", out, threeEvents)
	contains(t, "declared otherwise", errs, "header that says 16000 Hz, 1 channels, s16le")
	_, _, errs = stream(t, bytes.NewReader(wav(threeSounds())), "--rate", "16000")
	expect(t, "warnings where it is as declared", strings.Count(errs, "warning"), 0)
}

func TestStreamRefusesOtherFiles(t *testing.T) {
	for start, want := range map[string]string{
		"#!AMR\n<\x91\x17\x16\xbe\x66": "an AMR file",
		"":                             "no samples",
		"x":                            "no samples",
	} {
		status, out, errs := stream(t, strings.NewReader(start), "--format", "ndjson")
		expect(t, want, status, statusFailed)
		contains(t, want, errs, want)
		expect(t, want, outline(parse(t, out)), "[error - summary 1/1]")
	}
}

// TestStreamReportsAtOnce feeds a sound bit by bit: its event must come before anything else is fed.
func TestStreamReportsAtOnce(t *testing.T) {
	sound := raw(audio.S16LE, slices.Concat(make([]float32, 2*rate), noise(rate, loud), make([]float32, rate)))
	in, feed := io.Pipe()
	reported, out := io.Pipe()
	args := append([]string{"--stream", "--model", loudness(t), "--format", "ndjson"}, soundFlags...)
	status := make(chan int)
	go func() {
		s := runCommand(t.Context(), args, program.Streams{In: in, Out: out, Err: io.Discard})
		out.Close()
		status <- s
	}()
	go func() {
		for piece := range slices.Chunk(sound, 640) {
			feed.Write(piece)
		}
	}()
	var e ndjson
	lines := json.NewDecoder(reported)
	err := lines.Decode(&e)
	if err != nil || e.Event != "detection" || e.Label != "loud" || e.Time < 2 || e.Time > 3.2 {
		t.Fatalf("%+v, %v", e, err)
	}
	feed.Close() // only now does the sound end
	if err := lines.Decode(&e); err != nil || e.Event != "summary" {
		t.Fatalf("%+v, %v", e, err)
	}
	expect(t, "status", <-status, statusOK)
}

func TestStreamIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	in := &stalled{start: bytes.NewReader(raw(audio.S16LE, threeSounds())), stalled: make(chan struct{})}
	out := &watched{lines: make(chan string, 100)}
	go func() {
		<-in.stalled
		for range 3 {
			<-out.lines
		}
		time.Sleep(200 * time.Millisecond) // for what comes after the last event to be processed
		interrupt()
	}()
	var errs bytes.Buffer
	args := append([]string{"--stream", "--model", loudness(t), "--format", "ndjson"}, soundFlags...)
	expect(t, "status", runCommand(ctx, args, program.Streams{In: in, Out: out, Err: &errs}), statusInterrupted)
	contains(t, "stderr", errs.String(), "classify: processed 13.0 s: 3 events, ")
	contains(t, "stderr", errs.String(), "classify: interrupted\n")
	events := parse(t, out.all.String())
	expect(t, "events", len(events), 4)
	expect(t, "interrupted", events[3].Interrupted, true)
}

func TestStreamWhoseReaderIsGone(t *testing.T) {
	sound := raw(audio.S16LE, threeSounds())
	for err, want := range map[error]string{syscall.EPIPE: "", errors.New("disk full"): "classify: disk full\n"} {
		var errs bytes.Buffer
		args := append([]string{"--stream", "--model", loudness(t)}, soundFlags...)
		status := runCommand(t.Context(), args, program.Streams{In: bytes.NewReader(sound), Out: full{err}, Err: &errs})
		expect(t, "status", status, statusFailed)
		summary, rest, _ := strings.Cut(errs.String(), "\n")
		contains(t, "summary", summary, ": 1 events, ")
		expect(t, "stderr", rest, want)
	}
}

func TestStreamWarns(t *testing.T) {
	speech := spoken(t, "left.wav", 5)
	status, _, errs := stream(t, bytes.NewReader(raw(audio.U8, speech)))
	expect(t, "status", status, statusOK)
	contains(t, "bare arecord", errs, "classify: -: warning: this looks like unsigned 8-bit sound")
	expect(t, "warnings", strings.Count(errs, "warning"), 1)
	_, _, errs = stream(t, bytes.NewReader(raw(audio.S16LE, make([]float32, 11*rate))))
	contains(t, "muted", errs, "the microphone may be muted")
}

func TestStreamGate(t *testing.T) {
	sound := raw(audio.S16LE, threeSounds())
	for _, gate := range []string{"60", "-60"} {
		_, out, errs := stream(t, bytes.NewReader(sound), "--format", "ndjson", "--gate="+gate)
		checkEvents(t, "with a gate", out, threeEvents)
		contains(t, "stderr", errs, " frames skipped as silence")
		events := parse(t, out)
		if s := events[len(events)-1].Stream; s.Gated < 200 || s.Gated >= s.Frames {
			t.Errorf("%d of %d frames skipped", s.Gated, s.Frames)
		}
	}
}

func TestStreamExec(t *testing.T) {
	line := child(t, "args", "{label} {p} {time}")
	status, _, errs := stream(t, bytes.NewReader(raw(audio.S16LE, threeSounds())), "--exec", line)
	expect(t, "status", status, statusOK)
	expect(t, "commands", strings.Count(errs, `["loud","0.9`), 3)
	line = child(t, "fail", "{label}")
	sound := bytes.NewReader(raw(audio.S16LE, threeSounds()))
	status, out, errs := stream(t, sound, "--format", "ndjson", "--exec", line)
	expect(t, "status", status, statusOK)
	contains(t, "stderr", errs, ", 3 commands failed, 0 cut off, 0 left out\n")
	events := parse(t, out)
	expect(t, "failed", events[len(events)-1].Stream.CommandsFailed, 3)
}

// slow is a clock that jumps by three seconds for every look at it.
func slow() func() time.Time {
	looks := 0
	return func() time.Time {
		looks++
		return time.Now().Add(time.Duration(looks) * 3 * time.Second)
	}
}

func TestStreamReportsItsLag(t *testing.T) {
	var c cli
	c.Model, c.Format, c.Live.Stream = loudness(t), "ndjson", true
	var out, errs bytes.Buffer
	model, err := c.load(&errs)
	if err != nil {
		t.Fatal(err)
	}
	l, err := c.newListener(t.Context(), program.Streams{Out: &out, Err: &errs}, model)
	if err != nil {
		t.Fatal(err)
	}
	l.clock = slow()
	in := &chopped{raw(audio.S16LE, threeSounds()), rand.New(rand.NewPCG(1, 1))}
	expect(t, "error", l.run(t.Context(), in), nil)
	expect(t, "warnings", strings.Count(errs.String(), "s behind the sound"), 1)
	events := parse(t, out.String())
	if lag := events[len(events)-1].Stream.WorstLag; lag < 3 {
		t.Errorf("the worst lag is %v", lag)
	}
}

// TestStreamMemoryIsBounded processes a long sound and compares the memory in use early and late.
func TestStreamMemoryIsBounded(t *testing.T) {
	need.Long(t, "a long sound")
	minute := raw(audio.S16LE, slices.Concat(threeSounds(), noise(20*rate, hum), threeSounds(), noise(14*rate, hum)))
	heap := func() (bytes uint64, goroutines int) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, runtime.NumGoroutine()
	}
	in, feed := io.Pipe()
	done := make(chan int)
	args := append([]string{"--stream", "--model", loudness(t)}, soundFlags...)
	go func() {
		done <- runCommand(t.Context(), args, program.Streams{In: in, Out: io.Discard, Err: io.Discard})
	}()
	feed.Write(minute)
	before, goroutines := heap()
	for range 60 {
		feed.Write(minute)
	}
	after, then := heap()
	if after > before+1<<20 || then > goroutines {
		t.Errorf("%d bytes and %d goroutines after a minute, %d and %d after an hour", before, goroutines, after, then)
	}
	feed.Close()
	expect(t, "status", <-done, statusOK)
}

func TestStreamUsage(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--stream a.wav", "not files"},
		{"--stream - -", "not files"},
		{"--stream --format json", "ndjson"},
		{"--stream --windows", "--windows"},
		{"--stream --out results", "--out"},
		{"--stream --force", "--force"},
		{"--stream --fail-fast", "--fail-fast"},
		{"--stream --shard 0/2", "--shard"},
		{"--stream --shards 2", "--shards"},
		{"--stream --top 3", "--top"},
		{"--stream --encoding s20be", "s20be"},
		{"--stream --rate 0", "--rate 0"},
		{"--stream --rate 1000", "4000 to 384000"},
		{"--stream --channels 65", "--channels 65"},
		{"--stream --threshold 2", "a threshold of 2"},
		{"--stream --release 0", "release"},
		{"--stream --smoothing -1", "smoothing"},
		{"--stream --gate NaN", "--gate"},
		{"--stream --hop 2", "a hop of 2 s"},
		{"--stream --exec {label}", "cannot depend"},
		{"--rate 8000 a.wav", "--stream"},
		{"--exec true a.wav", "--stream"},
		{"--threshold 7 a.wav", "a threshold of 7"},
		{"--format audacity a.wav b.wav", "--out"},
	} {
		status, out, errs := classify(t, []byte("\x00\x01\x00\x01"), strings.Fields(c.args)...)
		expect(t, c.args, status, statusUsage)
		expect(t, c.args+": stdout", out, "")
		contains(t, c.args, errs, c.want)
	}
	t.Setenv(countVariable, "2") // as a cluster sets it
	status, _, errs := stream(t, bytes.NewReader(raw(audio.S16LE, threeSounds())))
	expect(t, "status with "+countVariable+": "+errs, status, statusOK)
}
