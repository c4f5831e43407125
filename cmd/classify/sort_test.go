package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/need"
)

// sortInto sorts inputs by how loud they are, and returns what is in folder s then, without the log.
func sortInto(t *testing.T, status int, args ...string) (files []string, stderr string) {
	t.Helper()
	got, _, stderr := classify(t, nil, append([]string{"--model", loudness(t), "--sort", "s"}, args...)...)
	expect(t, fmt.Sprint(args, ": status"), got, status)
	return sortedFiles(t), stderr
}

func sortedFiles(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(tree(t, "s"), func(name string) bool { return name == "s/"+logName })
}

// undone undoes what has been sorted.
func undone(t *testing.T, status int) (stderr string) {
	t.Helper()
	got, _, stderr := classify(t, nil, "--undo", "s/"+logName)
	expect(t, "undo: status", got, status)
	return stderr
}

// field are recordings of each label, with two of one name, a damaged one, and one that is silent at its ends.
func field(t *testing.T) {
	t.Helper()
	long := slices.Concat(make([]float32, 3*rate), noise(2*rate, loud), make([]float32, 3*rate))
	folder(t, map[string][]byte{
		"d/a.wav": wav(noise(rate, loud)), "d/b.wav": wav(noise(rate, hum)), "d/none.wav": wav(make([]float32, rate)),
		"d/x/a.wav": wav(noise(rate+5, loud)), "d/x/long.wav": wav(long), "d/bad.wav": []byte("no sound"),
	})
	for i, name := range tree(t, "d") {
		at := time.Unix(1e9+int64(i), 12345)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

// contents are the files of a folder with their contents and times.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range tree(t, dir) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = fmt.Sprint(info.ModTime().UnixNano(), " ", read(t, name))
	}
	return found
}

// TestSort sorts in each way, again, and back.
func TestSort(t *testing.T) {
	for _, flag := range []string{"", "--link", "--move"} {
		t.Run(flag, func(t *testing.T) {
			field(t)
			before := contents(t, "d")
			args := append(strings.Fields(flag), "d")
			files, errs := sortInto(t, statusFailed, args...)
			contains(t, "failure", errs, "classify: d/bad.wav: ")
			contains(t, "report", errs, " 5 files ")
			want := []string{
				"s/_silence_/none.wav", "s/hum/b.wav", "s/loud/a.wav", "s/loud/a_*.wav", "s/loud/long.wav",
			}
			if len(files) != len(want) {
				t.Fatalf("files %q", files)
			}
			for i, name := range files {
				if ok, _ := filepath.Match(want[i], name); !ok {
					t.Errorf("file %d is %s, want %s", i, name, want[i])
				}
			}
			left := map[string]int{"": 6, "--link": 6, "--move": 1}[flag]
			expect(t, "left", len(tree(t, "d")), left)
			moved := contents(t, "s")
			expect(t, "content", moved["s/hum/b.wav"] == before["d/b.wav"], true)
			expect(t, "content of the second a.wav", moved[files[3]] == before["d/x/a.wav"], true)
			_, err := os.Readlink("s/hum/b.wav")
			expect(t, "a link", err == nil, flag == "--link")

			again, errs := sortInto(t, statusFailed, args...)
			expect(t, "again", again, files)
			if flag != "--move" {
				contains(t, "again", errs, " no files ")
				contains(t, "again", errs, "; 5 sorted before")
			}
			contains(t, "undo", undone(t, statusOK), "5 files undone, 0 stay")
			expect(t, "after undo", len(tree(t, "s")), 0)
			if after := contents(t, "d"); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("undone: %d files, there were %d", len(after), len(before))
			}
		})
	}
}

// TestSortReplacesNothing has files in the way, of others and of an earlier state of an input.
func TestSortReplacesNothing(t *testing.T) {
	field(t)
	for _, name := range []string{"s/loud/a.wav", "s/hum"} { // a file where a folder must be
		os.MkdirAll(filepath.Dir(name), 0o755)
		os.WriteFile(name, []byte("mine"), 0o644)
	}
	files, errs := sortInto(t, statusFailed, "--move", "d")
	expect(t, "files", len(files), 6)
	contains(t, "in the way", errs, "classify: d/b.wav: --sort: ")
	for _, name := range []string{"s/loud/a.wav", "s/hum"} {
		expect(t, name, read(t, name), "mine")
	}
	expect(t, "left", tree(t, "d"), []string{"d/b.wav", "d/bad.wav"})

	os.WriteFile("d/a.wav", wav(noise(rate+9, loud)), 0o644) // another one of that name and place
	again, _ := sortInto(t, statusFailed, "--move", "d")
	expect(t, "with the other one", len(again), 7)
	os.WriteFile("d/a.wav", []byte("a third one"), 0o644)
	contains(t, "undo", undone(t, statusFailed), "2 stay") // both had been in its place
	expect(t, "the third one", read(t, "d/a.wav"), "a third one")
	os.Remove("d/a.wav")
	contains(t, "undo", undone(t, statusFailed), "1 file undone, 1 stay")
	expect(t, "restored", read(t, "d/a.wav"), string(wav(noise(rate+9, loud))))
	os.Rename("d/a.wav", "d/other.wav")
	undone(t, statusOK)
	expect(t, "restored", read(t, "d/a.wav"), string(wav(noise(rate, loud))))
	expect(t, "rest", tree(t, "s"), []string{"s/hum", "s/loud/a.wav"})
}

// TestUndoLosesNothing keeps copies whose originals are gone or different, links and files that were replaced.
func TestUndoLosesNothing(t *testing.T) {
	field(t)
	sortInto(t, statusFailed, "d")
	os.Remove("d/a.wav")
	os.WriteFile("s/hum/b.wav", []byte("edited"), 0o644)
	os.Remove("s/_silence_/none.wav")
	errs := undone(t, statusFailed)
	contains(t, "original gone", errs, "a.wav stays: it is the only one, ")
	contains(t, "edited", errs, "b.wav stays: it is no longer the same as ")
	contains(t, "undo", errs, "3 files undone, 2 stay")
	expect(t, "rest", sortedFiles(t), []string{"s/hum/b.wav", "s/loud/a.wav"})
	os.RemoveAll("s")

	sortInto(t, statusFailed, "--link", "d")
	os.Remove("s/hum/b.wav")
	os.WriteFile("s/hum/b.wav", []byte("mine"), 0o644)
	contains(t, "no link", undone(t, statusFailed), "b.wav stays: it is no longer the link")
	expect(t, "rest", sortedFiles(t), []string{"s/hum/b.wav"})
	os.RemoveAll("s")

	sortInto(t, statusFailed, "--move", "d")
	os.Remove("s/hum/b.wav")
	contains(t, "all gone", undone(t, statusFailed), "b.wav stays: it is gone, and so is where it came from")
}

// TestSortGoesOn interrupts at every point: with a line in the log for what was not done, with a line that is torn, and
// with a file that was linked to its new place and not yet removed from the old one.
func TestSortGoesOn(t *testing.T) {
	field(t)
	sortInto(t, statusFailed, "--move", "d")
	log := read(t, "s/"+logName)
	undone(t, statusOK)
	lines := slices.Collect(strings.Lines(log))
	os.MkdirAll("s/loud", 0o755)
	os.WriteFile("s/"+logName, []byte(lines[0]+lines[1]+lines[2][:20]), 0o644)
	need.Host(t, "hard links", os.Link("d/a.wav", "s/loud/a.wav"))
	files, errs := sortInto(t, statusFailed, "--move", "d")
	expect(t, "files", len(files), 5)
	contains(t, "report", errs, " 4 files moved ")
	contains(t, "report", errs, "; 1 sorted before")
	expect(t, "left", tree(t, "d"), []string{"d/bad.wav"})
	undone(t, statusOK)
	expect(t, "restored", len(tree(t, "d")), 6)

	ctx, stop := context.WithCancel(t.Context())
	var out, text bytes.Buffer
	stop()
	args := []string{"--model", loudness(t), "--sort", "s", "d"}
	status := runCommand(ctx, args, program.Streams{Out: &out, Err: &text})
	expect(t, "interrupted", status, statusInterrupted)
	files, _ = sortInto(t, statusFailed, "d")
	expect(t, "files", len(files), 5)
}

// TestSortFolders sorts into a folder below the inputs, which are not taken for inputs, and refuses their own.
func TestSortFolders(t *testing.T) {
	field(t)
	os.Rename("d", "s")
	os.Remove("s/bad.wav")
	for _, path := range []string{"s", "s/x", "s/a.wav"} {
		files, errs := sortInto(t, statusUsage, path)
		expect(t, path, len(files), 5)
		contains(t, path, errs, "sort into a folder elsewhere")
	}
	for range 2 {
		status, _, errs := classify(t, nil, "--model", loudness(t), "--sort", "s/by label", "s")
		expect(t, "status", status, statusOK)
		contains(t, "report", errs, "by label")
		expect(t, "files", len(tree(t, "s/by label")), 6)
	}
}

// TestSortNames has labels and files with names that would lead elsewhere, or that are no text.
func TestSortNames(t *testing.T) {
	names := []string{"a b\n.wav", "ü.wav", strings.Repeat("n", 250) + ".wav", "-x.wav", "\"q\".wav"}
	if runtime.GOOS == "linux" {
		names = append(names, "caf\xe9.wav", "\ufffdE9.wav", "\xff\ufffd.wav")
	}
	for _, label := range []string{"a/b", "..", "=1,2"} {
		files := map[string][]byte{}
		for i, name := range names {
			files["d/"+name] = wav(noise(rate+i, loud))
			files["e/"+name] = wav(noise(rate-i, loud))
		}
		model := loudnessWith(t, label)
		folder(t, files)
		status, _, errs := classify(t, nil, "--model", model, "--sort", "s", "--move", "d", "e")
		expect(t, "status", status, statusOK)
		expect(t, "left", len(tree(t, "d"))+len(tree(t, "e")), 0)
		entries, err := os.ReadDir("s")
		if err != nil || len(entries) != 2 {
			t.Errorf("%s: %v, %v: %s", label, entries, err, errs)
		}
		undone(t, statusOK)
		expect(t, "undone", len(tree(t, "d"))+len(tree(t, "e")), len(files))
		for name, content := range files {
			if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

// TestSortOnly leaves files of other labels and doubtful ones where they are.
func TestSortOnly(t *testing.T) {
	for _, c := range []struct {
		args, report string
		files        int
	}{
		{"--only loud", "; 2 with other labels than --only names, left", 3},
		{"--only loud,hum", "; 1 with other labels", 4},
		{"--only hum,_silence_", "; 3 with other labels", 2},
		{"--threshold loud=1", "; 3 too doubtful, left", 2},
		{"--threshold *=1,hum=0.1", "; 4 too doubtful", 1},
		{"--threshold 0.1", "5 files copied", 5},
		{"--min-confidence 0.9999999", "; 5 too doubtful", 0},
	} {
		field(t)
		files, errs := sortInto(t, statusFailed, append(strings.Fields(c.args), "d")...)
		expect(t, c.args, len(files), c.files)
		contains(t, c.args, errs, c.report)
	}
}

func TestSortUsage(t *testing.T) {
	folder(t, map[string][]byte{"a.wav": wav(noise(rate, loud)), "x.ndjson": []byte("{}\n"), "y.ndjson": []byte("{")})
	for args, want := range map[string]string{
		"--link a.wav":                    "--link and --move are about --sort",
		"--sort s --link --move a.wav":    "--link and --move: ",
		"--sort s --stream":               "--sort is about files",
		"--sort s -":                      "--sort is about files",
		"--sort s --out r a.wav":          "goes without --out",
		"--undo x.ndjson a.wav":           "--undo takes back",
		"--undo x.ndjson":                 "line 1 is none of a log",
		"--undo y.ndjson":                 "line 1 is none of a log",
		"--undo none":                     "no such file",
		"--pool median a.wav":             "--pool",
		"--only dog a.wav":                "--only dog: the labels are ",
		"--only left,dog,yes a.wav":       "--only dog: ",
		"--threshold left a.wav":          "neither a number nor a list of LABEL=P",
		"--threshold left=x a.wav":        "neither a number nor a list of LABEL=P",
		"--threshold left=1,left=1 a.wav": "left has two thresholds",
		"--threshold *=1,*=1 a.wav":       "* has two thresholds",
		"--threshold left=2 a.wav":        `a threshold of 2 for "left"`,
		"--threshold 0 a.wav":             "a threshold of 0",
		"--threshold dog=0.5 a.wav":       `a threshold for "dog", which is none of the labels`,
	} {
		status, out, errs := classify(t, nil, strings.Fields(args)...)
		expect(t, args, status, statusUsage)
		expect(t, args+": stdout", out, "")
		contains(t, args, errs, want)
	}
}
