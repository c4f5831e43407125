package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/local"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/testing/ptest"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
)

func TestMain(m *testing.M) { ptest.Main(m) }

// flaky is the local file system over a network that fails: reads fail, or break off, and writes fail, as faults
// says.
type flaky struct{ filesystem.Interface }

const scheme = "flaky://"

var faults struct {
	sync.Mutex
	reads  map[string]int  // by base name: how many are to fail
	writes map[string]bool // parts of paths
}

func setFaults(reads map[string]int, writes map[string]bool) {
	faults.Lock()
	defer faults.Unlock()
	faults.reads, faults.writes = reads, writes
}

func init() {
	filesystem.Register("flaky", func(ctx context.Context) filesystem.Interface { return flaky{local.New(ctx)} })
	wait = time.Millisecond
}

func plain(path string) string { return strings.TrimPrefix(path, scheme) }

func (f flaky) List(ctx context.Context, glob string) ([]string, error) {
	files, err := f.Interface.List(ctx, plain(glob))
	for i := range files {
		files[i] = scheme + files[i]
	}
	return files, err
}

func (f flaky) Size(_ context.Context, path string) (int64, error) {
	info, err := os.Stat(plain(path))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f flaky) LastModified(ctx context.Context, path string) (time.Time, error) {
	return f.Interface.(filesystem.LastModifiedGetter).LastModified(ctx, plain(path))
}

func (f flaky) OpenRead(ctx context.Context, path string) (io.ReadCloser, error) {
	faults.Lock()
	defer faults.Unlock()
	name := filepath.Base(path)
	left := faults.reads[name]
	if left > 0 {
		faults.reads[name]--
		if left%2 == 0 {
			return nil, errors.New("connection reset")
		}
	}
	in, err := f.Interface.OpenRead(ctx, plain(path))
	if err == nil && left > 0 {
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(in, 2000), broken{}), in}, nil
	}
	return in, err
}

// broken is a connection that breaks.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset in the middle") }

func (f flaky) OpenWrite(ctx context.Context, path string) (io.WriteCloser, error) {
	faults.Lock()
	defer faults.Unlock()
	for part := range faults.writes {
		if strings.Contains(path, part) {
			return nil, errors.New("disk full")
		}
	}
	return f.Interface.OpenWrite(ctx, plain(path))
}

// archive writes sounds of noise and silence: most shorter than a window, some of several seconds, some no sounds.
func archive(t *testing.T, n int) (dir string, broken int) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "archive")
	rng := rand.New(rand.NewPCG(1, 2))
	word, err := audio.ReadFile("../examples/left.wav", 16000)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		path := filepath.Join(dir, fmt.Sprint(i%7), fmt.Sprintf("%04d.wav", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		samples := make([]float32, 1600+rng.IntN(8000))
		for k := range samples {
			samples[k] = 0.3 * (2*rng.Float32() - 1)
		}
		switch {
		case i%10 == 1:
			samples = word.Samples
		case i%50 == 2: // several seconds, with events
			samples = slices.Concat(make([]float32, 20000), word.Samples, make([]float32, 20000), word.Samples, samples)
		}
		content := audiotest.WAV(audio.S16LE, 16000, samples)
		if i%100 == 3 {
			content = []byte("RIFF this is no sound at all, but begins like one")
			broken++
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, broken
}

// runPipeline runs the pipeline on Prism, and returns its counters.
func runPipeline(t *testing.T, pattern string, o *options) (map[string]int64, error) {
	t.Helper()
	if err := o.open(t.Context(), "small"); err != nil {
		t.Fatal(err)
	}
	p := beam.NewPipeline()
	pipeline(p.Root(), []string{pattern, pattern}, *o) // overlapping patterns
	result, err := ptest.RunWithMetrics(p)
	counters := map[string]int64{}
	if err == nil {
		for _, c := range result.Metrics().AllMetrics().Counters() {
			counters[c.Key.Name] += c.Result()
		}
	}
	return counters, err
}

// lines returns the lines of all files of a kind of results, sorted.
func lines(t *testing.T, output, folder string) (list []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(output, folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file, ".ndjson") {
			t.Errorf("%s is left", file)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			list = append(list, line)
		}
	}
	slices.Sort(list)
	return list
}

// command returns the records that the command classify writes about the files below dir, but its summary, sorted.
func command(t *testing.T, dir string, args ...string) (list []string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "classify")
	build := exec.Command("go", "build", "-o", program, "./cmd/classify")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	out, err := exec.Command(program, append([]string{"--model", "small", "--format", "ndjson", dir}, args...)...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Fatalf("classify: %v", err)
	}
	in := bufio.NewScanner(bytes.NewReader(out))
	for in.Scan() {
		if line := in.Text(); !strings.Contains(line, `"event":"summary"`) {
			list = append(list, line+"\n")
		}
	}
	slices.Sort(list)
	return list
}

// TestArchive classifies an archive on a file system that fails, is broken off by failures of writing, goes on, and
// compares all records with those of the command.
func TestArchive(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	dir, broken := archive(t, n)
	output := filepath.Join(t.TempDir(), "output")
	pattern := scheme + filepath.Join(dir, "*", "*.wav")
	o := options{Output: scheme + output, As: "auto", Top: 3, Shards: 20}
	reads := map[string]int{"0010.wav": 1000} // is never read
	for i := 0; i < n; i += 11 {
		reads[fmt.Sprintf("%04d.wav", i)] = 1 + i%2 // the third attempt is the last one
	}
	setFaults(reads, map[string]bool{"/done/": true})
	if _, err := runPipeline(t, pattern, &o); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Fatalf("a run that cannot write its notes: %v", err)
	}
	// One shard of twenty fails; what is written of the others counts.
	setFaults(reads, map[string]bool{o.Run: true, "-00007-of-00020": true})
	runPipeline(t, pattern, &o)
	setFaults(nil, map[string]bool{o.Run: true}) // its workers may not have ended
	time.Sleep(500 * time.Millisecond)
	before := len(lines(t, output, "done"))
	if err := errors.Join(os.RemoveAll(filepath.Join(output, "failed")), unfinished(output)); err != nil {
		t.Fatal(err)
	}
	counters, err := runPipeline(t, pattern, &o)
	if err != nil {
		t.Fatal(err)
	}
	if c := counters; c["files_matched"] != int64(2*n) || c["files_skipped"] != int64(before) ||
		c["files_classified"] != int64(n-broken-before) || c["files_failed"] != int64(broken) {
		t.Errorf("%d files, of which %d were done and %d are no sounds: %v", n, before, broken, c)
	}
	want := command(t, dir, "--top", "3")
	var got []string
	for _, line := range append(lines(t, output, "results"), lines(t, output, "failed")...) {
		got = append(got, strings.Replace(line, scheme, "", 1))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d records, the command has %d", len(got), len(want))
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("the first that differs:\n%s%s", got[i], want[i])
			}
		}
	}
	if notes := lines(t, output, "done"); len(notes) != n-broken {
		t.Errorf("%d notes", len(notes))
	}
	testAgain(t, dir, output, n, broken)
}

// unfinished removes results without notes, which are of shards that were broken off.
func unfinished(output string) error {
	files, err := filepath.Glob(filepath.Join(output, "results", "*"))
	for _, file := range files {
		if _, missing := os.Stat(strings.Replace(file, "/results/", "/done/", 1)); missing != nil {
			err = errors.Join(err, os.Remove(file))
		}
	}
	return err
}

// testAgain runs the pipeline over an archive that is done, of which a file has changed, and then in another way.
func testAgain(t *testing.T, dir, output string, n, broken int) {
	pattern, o := scheme+filepath.Join(dir, "*", "*.wav"), options{Output: scheme + output, As: "auto", Top: 3, Shards: 3}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "0", "0000.wav"), later, later); err != nil {
		t.Fatal(err)
	}
	counters, err := runPipeline(t, pattern, &o)
	if err != nil || counters["files_skipped"] != int64(n-broken-1) || counters["files_classified"] != 1 ||
		counters["models_loaded"] != 0 {
		t.Errorf("again: %v, %v", counters, err)
	}
	o.Top = 1
	counters, err = runPipeline(t, scheme+filepath.Join(dir, "0", "*.wav"), &o)
	if err != nil || counters["files_skipped"] != 0 || counters["files_classified"] == 0 ||
		counters["models_loaded"] != 1 {
		t.Errorf("with other options: %v, %v", counters, err)
	}
}

// TestDeadLetters has a file whose reads all fail.
func TestDeadLetters(t *testing.T) {
	dir, _ := archive(t, 2)
	output := filepath.Join(t.TempDir(), "output")
	setFaults(map[string]int{"0000.wav": 1000}, nil)
	o := options{Output: scheme + output, As: "events", Top: 1, Shards: 1}
	counters, err := runPipeline(t, scheme+filepath.Join(dir, "*", "*.wav"), &o)
	if err != nil || counters["files_failed"] != 1 || counters["files_classified"] != 1 || counters["reads_retried"] != 2 {
		t.Errorf("%v, %v", counters, err)
	}
	var letter struct{ Event, File, Error string }
	letters := lines(t, output, "failed")
	if len(letters) != 1 {
		t.Fatalf("%d letters", len(letters))
	}
	err = json.Unmarshal([]byte(letters[0]), &letter)
	if err != nil || letter.Event != "error" || !strings.HasSuffix(letter.File, "/0000.wav") ||
		!strings.Contains(letter.Error, "connection reset") {
		t.Errorf("%v: %s", err, letters[0])
	}
}

// TestLocalFiles has files and results where no scheme is named.
func TestLocalFiles(t *testing.T) {
	dir, _ := archive(t, 3)
	output := filepath.Join(t.TempDir(), "output")
	counters, err := runPipeline(t, filepath.Join(dir, "*", "*.wav"), &options{Output: output, As: "windows", Shards: 2})
	if err != nil || counters["files_classified"] != 3 || len(lines(t, output, "done")) != 3 {
		t.Errorf("%v, %v", counters, err)
	}
	_, err = runPipeline(t, filepath.Join(dir, "*.mp3"), &options{Output: output, As: "auto", Shards: 2})
	if err == nil || !strings.Contains(err.Error(), "no file matches") {
		t.Errorf("a pattern without files: %v", err)
	}
}

func TestOptions(t *testing.T) {
	good := options{Output: "x/", As: "auto", Top: 1, Shards: 1}
	if err := good.open(t.Context(), "small"); err != nil || good.Output != "x" || len(good.Digest) != 24 {
		t.Errorf("%+v, %v", good, err)
	}
	other := good
	other.Top = 2
	if err := other.open(t.Context(), "small"); err != nil || other.Digest == good.Digest {
		t.Errorf("the digest does not depend on the options, %v", err)
	}
	for _, o := range []options{
		{As: "x", Shards: 1}, {As: "auto", Top: -1, Shards: 1}, {As: "auto"}, {As: "auto", Shards: 1, MinConfidence: 2},
	} {
		if err := o.open(t.Context(), "small"); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	err := good.open(t.Context(), "none.safetensors")
	if err == nil || !strings.Contains(err.Error(), "none.safetensors") {
		t.Errorf("a model that is missing: %v", err)
	}
}
