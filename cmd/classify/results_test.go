package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/internal/records"
)

// tree lists the files below a folder, with hidden ones but the index, and without empty folders.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), indexName) && d.Name() != records.SavedName {
			names = append(names, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sounds are n files of a tenth of a second, spread over folders.
func sounds(t *testing.T, n int) map[string][]byte {
	files := map[string][]byte{}
	for i := range n {
		files[fmt.Sprintf("rec/%d/%04d.wav", i%3, i)] = wav(noise(1600, loud))
	}
	return files
}

func TestOutMirrorsTheInputs(t *testing.T) {
	model := loudness(t)
	for format, extension := range map[string]string{"text": "txt", "csv": "csv", "json": "json", "ndjson": "ndjson"} {
		library(t)
		args := []string{"--model", model, "--format", format, "--out", "r/s"}
		status, out, errs := classify(t, nil, append(args, "b", "notes.txt", "missing.wav")...)
		expect(t, format+": status", status, statusFailed)
		want := []string{
			"r/s/a/hum.WAV", "r/s/a/two.wav", "r/s/failures", "r/s/loud.wav", "r/s/notes.txt", "r/s/z/silence.wav",
		}
		for i := range want {
			if want[i] == "r/s/failures" {
				want[i] += ".csv"
			} else {
				want[i] += "." + extension
			}
		}
		expect(t, format+": files", tree(t, "r"), want)
		contains(t, format, errs, "classify: b/broken.wav: ")
		contains(t, format, errs, "classify: 5 of 9 files classified: ")
		contains(t, format, errs, "; 4 failed, see r/s/failures.csv\n")
		rows, err := csv.NewReader(strings.NewReader(read(t, "r/s/failures.csv"))).ReadAll()
		expect(t, format+": failures", fmt.Sprint(len(rows), err, rows[0], rows[4]),
			"5 <nil> [file error] [missing.wav no such file or directory]")

		one := filepath.Join("r", "s", "a", "two.wav."+extension)
		_, alone, _ := classify(t, nil, "--model", model, "--format", format, "b/a/two.wav")
		if format == "text" || format == "csv" {
			expect(t, format+": stdout", out, "")
			expect(t, format+": a result", read(t, one), alone)
			continue
		}
		contains(t, format+": stdout", out, `"error":"no such file or directory"`)
		contains(t, format+": stdout", out, `"files":9,"failed":4`)
		if strings.Contains(out, "labels") {
			t.Errorf("%s: results are on the standard output: %s", format, out)
		}
		if format == "ndjson" {
			expect(t, "a result", outline(parse(t, read(t, one))), []string{"b/a/two.wav 2 s loud", "summary 0/1"})
		}
	}
}

func TestOutGoesOn(t *testing.T) {
	model := loudness(t)
	folder(t, sounds(t, 7))
	args := []string{"--model", model, "--format", "csv", "--out", "r", "rec"}
	run := func(want string, more ...string) {
		t.Helper()
		status, out, errs := classify(t, nil, append(args, more...)...)
		expect(t, "status", status, statusOK)
		expect(t, "stdout", out, "")
		contains(t, "stderr", errs, want)
	}
	run("classify: 7 of 7 files classified: 0.7 s of sound in ")
	first := read(t, "r/0/0000.wav.csv")
	run("classify: nothing to do: all 7 inputs have results in r (--force classifies them again)\n")

	os.WriteFile("r/0/0000.wav.csv", []byte("kept"), 0o644)
	os.WriteFile("r/1/0001.wav.csv", nil, 0o644) // not a result of ours
	os.Remove("r/2/0002.wav.csv")
	later := time.Now().Add(time.Hour)
	os.Chtimes("rec/0/0003.wav", later, later)
	run("classify: 3 of 7 files classified: 0.3 s")
	expect(t, "a result that was there", read(t, "r/0/0000.wav.csv"), "kept")
	contains(t, "a result that was empty", read(t, "r/1/0001.wav.csv"), "result,rec/1/0001.wav,0,0.1,0,,")
	contains(t, "a result that was lost", read(t, "r/2/0002.wav.csv"), "result,rec/2/0002.wav,0,0.1,0,,")
	run("classify: nothing to do: all 7 inputs have results in r") // the input is newer still, but the same
	os.Remove("r/2/0002.wav.csv")
	run("6 had results already")

	run("classify: 7 of 7 files classified", "--force")
	expect(t, "after --force", read(t, "r/0/0000.wav.csv"), first)

	run("classify: 7 of 7 files classified", "--format", "text") // results in another format are others
}

func TestFailuresAreListedAsLongAsTheyLast(t *testing.T) {
	model := loudness(t)
	files := sounds(t, 3)
	files["rec/bad.wav"] = []byte("no sound")
	folder(t, files)
	args := []string{"--model", model, "--out", "r", "rec"}
	for range 2 {
		status, _, errs := classify(t, nil, args...)
		expect(t, "status", status, statusFailed)
		contains(t, "stderr", errs, "1 failed, see r/failures.csv")
		contains(t, "failures", read(t, "r/failures.csv"), "file,error\nrec/bad.wav,")
	}
	os.WriteFile("rec/bad.wav", wav(noise(1600, hum)), 0o644)
	status, _, _ := classify(t, nil, args...)
	expect(t, "status", status, statusOK)
	if _, err := os.Stat("r/failures.csv"); err == nil {
		t.Error("the list of failures outlived them")
	}
}

func TestFailFast(t *testing.T) {
	model := loudness(t)
	files := sounds(t, 600)
	files["rec/00.wav"] = []byte("no sound") // the first one, so that a single worker begins no other
	folder(t, files)
	for _, more := range [][]string{{"--format", "ndjson"}, {"--out", "r"}, {"--out", "r", "--format", "json"}} {
		args := []string{"--model", model, "--fail-fast", "--threads", "1", "rec/00.wav", "rec/0", "rec/1"}
		status, out, errs := classify(t, nil, append(args, more...)...)
		expect(t, "status", status, statusFailed)
		contains(t, "stderr", errs, "classify: rec/00.wav: ")
		contains(t, "stderr", errs, "classify: stopped at the first failure (--fail-fast)\n")
		if more[0] == "--format" {
			expect(t, "events", outline(parse(t, out)), []string{"error rec/00.wav", "summary 1/1"})
		} else {
			expect(t, "results", tree(t, "r"), []string{"r/failures.csv"})
		}
	}
}

func TestNamesThatCollide(t *testing.T) {
	model := loudness(t)
	sound := wav(noise(100, loud))
	folder(t, map[string][]byte{"x/a.wav": sound, "y/a.wav": sound, "failures": sound})
	for _, c := range []struct{ args, says string }{
		{"--out r x y", "x/a.wav and y/a.wav would both have their results in r/a.wav.txt"},
		{"--out r x/a.wav x/a.wav", "x/a.wav and x/a.wav would both"},
		{"--out r --shard 0/100 x y", "x/a.wav and y/a.wav would both"},
		{"--out r --format csv failures", "where the failures are listed"},
		{"--out r -", "no name"},
		{"--force x", "--out"},
	} {
		status, _, errs := classify(t, nil, append([]string{"--model", model}, strings.Fields(c.args)...)...)
		expect(t, c.args, status, statusUsage)
		contains(t, c.args, errs, c.says)
		if _, err := os.Stat("r"); err == nil {
			t.Errorf("%s: a folder for results was made", c.args)
		}
	}
}

func TestNameThatIsTooLong(t *testing.T) {
	model := loudness(t)
	long := "rec/" + strings.Repeat("x", 248) + ".wav" // and .txt: 256 bytes
	folder(t, map[string][]byte{long: wav(noise(100, loud)), "rec/a.wav": wav(noise(100, loud))})
	status, _, errs := classify(t, nil, "--model", model, "--out", "r", "rec")
	if status == statusOK {
		need.Platform(t, "this file system has room for such names")
	}
	expect(t, "status", status, statusFailed)
	contains(t, "stderr", errs, "file name too long")
	expect(t, "files", tree(t, "r"), []string{"r/a.wav.txt", "r/failures.csv"})
}

func TestResultsThatCannotBeWritten(t *testing.T) {
	model := loudness(t)
	folder(t, sounds(t, 400))
	os.WriteFile("r", nil, 0o644)
	status, _, errs := classify(t, nil, "--model", model, "--out", "r", "rec")
	expect(t, "status", status, statusFailed)
	expect(t, "stderr", errs, "classify: --out r: it is a file, not a folder\n")
	os.Remove("r")
	os.Mkdir("r", 0o755)
	os.WriteFile("r/1", nil, 0o644) // where a folder must be
	status, _, errs = classify(t, nil, "--model", model, "--out", "r", "rec")
	expect(t, "status", status, statusFailed)
	contains(t, "stderr", errs, "not a directory")
	need.Host(t, "symbolic links", os.Symlink("missing/below", "link")) // looks like a folder to come, and cannot be made
	status, out, errs := classify(t, nil, "--model", model, "--out", "link", "rec")
	expect(t, "status", status, statusFailed)
	expect(t, "stdout", out, "")
	expect(t, "stderr", errs, "classify: mkdir link: file exists\n")
}

const heldStart = "held: " // what Decode does not know

// heldUntil has files called *.held read as WAV after heldStart, half of it at once and the rest when ctx is done.
func heldUntil(ctx context.Context, t *testing.T) {
	audio.RegisterFallback(func(_ string, r io.Reader) (io.ReadCloser, error) {
		whole, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		whole = whole[len(heldStart):]
		half := len(whole) / 2
		rest := readerFunc(func([]byte) (int, error) {
			<-ctx.Done()
			return 0, io.EOF
		})
		return io.NopCloser(io.MultiReader(bytes.NewReader(whole[:half]), rest, bytes.NewReader(whole[half:]))), nil
	}, ".held")
	t.Cleanup(func() { audio.RegisterFallback(nil) })
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestInterruptedBatch leaves whole files only, and the second run does the rest.
func TestInterruptedBatch(t *testing.T) {
	model := loudness(t)
	const count = 100
	files := sounds(t, count)
	// In the middle of this the interruption comes.
	files["rec/z.held"] = append([]byte(heldStart), wav(noise(600*rate, loud))...)
	folder(t, files)
	ctx, interrupt := context.WithCancel(t.Context())
	heldUntil(ctx, t)
	go func() {
		for {
			if _, err := os.Stat("r/0/0000.wav.csv"); err == nil {
				interrupt()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	var errs bytes.Buffer
	args := []string{"--model", model, "--format", "csv", "--out", "r", "rec"}
	status := runCommand(ctx, args, program.Streams{Out: io.Discard, Err: &errs})
	expect(t, "status", status, statusInterrupted)
	contains(t, "stderr", errs.String(), "classify: interrupted; the same command goes on with the rest\n")
	done := tree(t, "r")
	if len(done) == 0 || len(done) > count {
		t.Errorf("%d of %d files are done", len(done), count+1)
	}
	for _, name := range done {
		text := read(t, name)
		hidden := strings.HasPrefix(filepath.Base(name), ".")
		if hidden || !strings.HasPrefix(text, "kind,file,") || strings.Count(text, "\n") != 2 {
			t.Errorf("%s holds %q", name, text)
		}
	}
	status, _, second := classify(t, nil, args...)
	expect(t, "status of the second run", status, statusOK)
	contains(t, "second run", second, fmt.Sprintf("classify: %d of %d files classified", count+1-len(done), count+1))
	expect(t, "files", len(tree(t, "r")), count+1)
}
