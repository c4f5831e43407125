package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestWhatIsDone changes inputs and results in ways that a second run has to notice, or not.
func TestWhatIsDone(t *testing.T) {
	model := loudness(t)
	sound, other, longer := wav(noise(1600, loud)), wav(noise(1600, hum)), wav(noise(1700, hum))
	then := time.Date(2020, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	put := func(path string, content []byte, at time.Time) {
		os.WriteFile(path, content, 0o644)
		os.Chtimes(path, at, at)
	}
	for _, c := range []struct {
		name   string
		change func()
		again  string // inputs that are classified again
	}{
		{"nothing", func() {}, ""},
		{"other access time", func() { os.Chtimes("rec/a.wav", time.Now(), then) }, ""},
		{"newer", func() { put("rec/a.wav", other, time.Now()) }, "a"},
		{"older", func() { put("rec/a.wav", other, then.Add(-time.Hour)) }, "a"},
		{"older by a millisecond", func() { put("rec/b.wav", other, then.Add(-time.Millisecond)) }, "b"},
		{"from the future", func() { put("rec/b.wav", other, time.Now().Add(time.Hour)) }, "b"},
		{"longer, of the same time", func() { put("rec/c.wav", longer, then) }, "c"},
		{"moved there", func() { os.Rename("other.wav", "rec/c.wav") }, "c"},
		{"exchanged", func() {
			os.Rename("rec/a.wav", "x")
			os.Rename("other.wav", "rec/a.wav")
			os.Rename("x", "rec/b.wav")
		}, "a"}, // b is what it was: size and time are the same
		{"result lost", func() { os.Remove("r/a.wav.csv") }, "a"},
		{"result empty", func() { os.WriteFile("r/b.wav.csv", nil, 0o644) }, "b"},
		{"index lost", func() { os.Remove("r/" + indexName) }, "a b c"},
		{"index torn", func() { os.Truncate("r/"+indexName, 3*(lineBytes+1)-7) }, "?"},
		{"index torn and repaired by hand", func() {
			f, _ := os.OpenFile("r/"+indexName, os.O_APPEND|os.O_WRONLY, 0)
			f.WriteString("junk")
			f.Close()
		}, ""},
		{"index full of rubbish", func() {
			os.WriteFile("r/"+indexName, []byte(strings.Repeat("\x00\xff z", 1<<16)), 0o644)
		}, "a b c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder(t, map[string][]byte{"other.wav": longer})
			os.Mkdir("rec", 0o755)
			for _, name := range []string{"a", "b", "c"} {
				put("rec/"+name+".wav", sound, then)
			}
			args := []string{"--model", model, "--format", "csv", "--out", "r", "rec"}
			status, _, _ := classify(t, nil, args...)
			expect(t, "status", status, statusOK)
			results := map[string]string{}
			for _, name := range []string{"a", "b", "c"} {
				results[name] = read(t, "r/"+name+".wav.csv")
			}
			c.change()
			before := map[string]time.Time{}
			for name := range results {
				if info, err := os.Stat("r/" + name + ".wav.csv"); err == nil {
					before[name] = info.ModTime()
				}
			}
			time.Sleep(5 * time.Millisecond)
			status, _, errs := classify(t, nil, args...)
			expect(t, "status", status, statusOK)
			var again []string
			for _, name := range []string{"a", "b", "c"} {
				if info, err := os.Stat("r/" + name + ".wav.csv"); err != nil || !info.ModTime().Equal(before[name]) {
					again = append(again, name)
				}
			}
			if c.again == "?" {
				expect(t, "inputs again", len(again), 1)
			} else {
				expect(t, "inputs again", strings.Join(again, " "), c.again)
			}
			if n := len(again); n > 0 {
				contains(t, "stderr", errs, fmt.Sprintf("classify: %d of 3 files classified", n))
			} else {
				contains(t, "stderr", errs, "nothing to do: all 3 inputs have results in r")
			}
			_, _, errs = classify(t, nil, args...)
			contains(t, "third run", errs, "nothing to do: all 3 inputs have results in r")
		})
	}
}

// TestReplacedInputs follows one input through several contents: its result file is never that of another content.
func TestReplacedInputs(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"rec/b.wav": wav(noise(rate, loud))})
	good, murmur := wav(noise(rate, loud)), wav(noise(rate, hum))
	then := time.Now().Add(-time.Hour)
	for i, step := range []struct {
		content []byte
		at      time.Time
		want    string // label; "": no result file
	}{
		{good, then, "loud"},
		{[]byte("no sound"), then, ""},
		{good, then, "loud"},
		{murmur, then.Add(time.Second), "hum"},
		{good, then, "loud"}, // as it was two steps before
		{good[:20], then.Add(-time.Hour), ""},
		{nil, then, ""},
		{murmur, then, "hum"},
	} {
		os.WriteFile("rec/a.wav", step.content, 0o644)
		os.Chtimes("rec/a.wav", step.at, step.at)
		status, _, errs := classify(t, nil, "--model", model, "--out", "r", "rec")
		text, err := os.ReadFile("r/a.wav.txt")
		if step.want == "" {
			expect(t, fmt.Sprintf("status of step %d", i), status, statusFailed)
			if err == nil {
				t.Errorf("step %d: the result file says %q", i, text)
			}
			contains(t, "failures", read(t, "r/failures.csv"), "rec/a.wav")
			continue
		}
		expect(t, fmt.Sprintf("status of step %d", i), status, statusOK)
		contains(t, fmt.Sprintf("step %d: %s", i, errs), string(text), "  "+step.want+" ")
	}
	expect(t, "the other input", strings.Count(read(t, "r/b.wav.txt"), "loud"), 1)
}

// TestIndexOfShards writes from several shards at once, in different divisions.
func TestIndexOfShards(t *testing.T) {
	model := loudness(t)
	folder(t, sounds(t, 60))
	for n := 2; n <= 4; n++ {
		var running sync.WaitGroup
		for i := range n {
			running.Go(func() {
				classify(t, nil, "--model", model, "--out", "r", "--shard", fmt.Sprintf("%d/%d", i, n), "rec")
			})
		}
		running.Wait()
		_, _, errs := classify(t, nil, "--model", model, "--out", "r", "rec")
		contains(t, "all", errs, "nothing to do: all 60 inputs have results in r")
		for i := range 10 { // which the next division does again, and is the latest to know
			later := time.Now().Add(time.Duration(n) * time.Hour)
			os.Chtimes(fmt.Sprintf("rec/%d/%04d.wav", i%3, i), later, later)
		}
	}
}

// TestIndexIsBounded keeps a file from growing without end.
func TestIndexIsBounded(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	x, err := openIndex(dir, shard{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[uint64]uint32{}
	for range 12000 {
		key, mark := rng.Uint64N(100), rng.Uint32()
		want[key] = mark
		if err := x.add(key, mark); err != nil {
			t.Fatal(err)
		}
	}
	x.close()
	for range 2 {
		if x, err = openIndex(dir, shard{}); err != nil {
			t.Fatal(err)
		}
		for key, mark := range want {
			if !x.has(key, mark) || x.has(key, mark+1) || x.has(key+1000, mark) {
				t.Errorf("%d has not %d", key, mark)
			}
		}
		if len(x.written) != len(want) || !slices.IsSortedFunc(x.written, func(a, b indexEntry) int {
			return int(a.key) - int(b.key)
		}) {
			t.Errorf("%d entries, want %d", len(x.written), len(want))
		}
	}
	info, err := os.Stat(filepath.Join(dir, indexName))
	if err != nil || info.Size() != int64(len(want)*(lineBytes+1)) {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
}

// TestResultFolderThatCannotBeWritten reports that before any input is read.
func TestResultFolderThatCannotBeWritten(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"a.wav": wav(noise(rate, loud)), "file": nil})
	os.Mkdir("r", 0o755)
	os.Mkdir(filepath.Join("r", indexName), 0o755)
	for out, says := range map[string]string{
		"file":       "it is a file, not a folder",
		"file/below": "not a directory",
		"r":          "it is a folder, not a file",
	} {
		status, _, errs := classify(t, nil, "--model", model, "--out", out, "a.wav")
		expect(t, out+": status", status, statusFailed)
		contains(t, out, errs, says)
		if strings.Contains(errs, "a.wav:") {
			t.Errorf("%s: an input failed: %s", out, errs)
		}
	}
}
