package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/polynet"
)

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestLogIsChecked: a file that is no log is not overwritten, and no training ends with a log that cannot be written.
func TestLogIsChecked(t *testing.T) {
	data := pitches(t, 8, "low", "high")
	t.Chdir(t.TempDir())
	wav := string(audiotest.WAV(audio.S16LE, 16000, make([]float32, 100)))
	writeFile(t, "folder/x", "")
	writeFile(t, "a.wav", wav)
	writeFile(t, "notes.txt", "epochs that went well: none\n")
	writeFile(t, "other.csv", "file,start,end,label1,p1\n")
	writeFile(t, "old.csv", "epoch,rate,loss\n1,2,3\n")
	writeFile(t, "empty.csv", "")
	foreign := "the file is no log of train fit, and would be overwritten; name another one\n"
	for _, c := range []struct{ log, want string }{
		{"folder", "train: --log: cannot write folder: it is a folder, not a file\n"},
		{filepath.Join("none", "log.csv"), "train: --log: cannot write none/log.csv: no such file or directory\n"},
		{"a.wav", "train: --log a.wav: " + foreign},
		{"notes.txt", "train: --log notes.txt: " + foreign},
		{"other.csv", "train: --log other.csv: " + foreign},
		{"./m", "train: --log ./m: the run writes its model or checkpoint there\n"},
		{"m.checkpoint", "train: --log m.checkpoint: the run writes its model or checkpoint there\n"},
	} {
		path, err := filepath.Abs(c.log)
		if err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(c.log)
		status, out, errs := train(t.Context(), quick(data, "m", "--log", c.log)...)
		errs = strings.ReplaceAll(strings.ReplaceAll(errs, path, c.log), filepath.Dir(path)+"/m", "./m")
		want := strings.ReplaceAll(c.want, "./m", "m")
		if errs = strings.ReplaceAll(errs, "./m", "m"); status != program.StatusFailed || out != "" || errs != want {
			t.Errorf("%s: status %d, %q%q, want %q", c.log, status, out, errs, want)
		}
		if after, _ := os.ReadFile(c.log); string(after) != string(before) {
			t.Errorf("%s: the file changed", c.log)
		}
	}
	for _, log := range []string{"old.csv", "empty.csv", "new.csv", os.DevNull} {
		out := "model-" + filepath.Base(log)
		status, _, errs := train(t.Context(), quick(data, out, "--log", log)...)
		if status != program.StatusOK {
			t.Errorf("%s: status %d, %s", log, status, errs)
		}
		if log != os.DevNull {
			checkLog(t, log, 6)
		}
	}
}

// TestDataIsChecked: what is wrong with the data is said before the first epoch, and what is doubtful, too.
func TestDataIsChecked(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tone := func(dir string, parts ...string) { // a clip of 0.3 s
		path := filepath.Join(append([]string{dir}, parts...)...)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeTone(t, path, 400, rng)
	}
	long := func(dir, name string, seconds int) {
		wav := audiotest.WAV(audio.S16LE, 16000, make([]float32, 16000*seconds))
		writeFile(t, filepath.Join(dir, name), string(wav))
	}
	split := func(dir string, splits ...string) { // folders for splits, each with two words
		for _, s := range splits {
			for i := range 6 {
				tone(dir, s, "low", fmt.Sprintf("%d.wav", i))
				tone(dir, s, "high", fmt.Sprintf("%d.wav", i))
			}
		}
	}
	spoil := func(dir, pattern string) {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, p := range paths {
			writeFile(t, p, "no sound at all")
		}
	}
	for _, c := range []struct {
		name   string
		make   func(dir string)
		status int
		want   string // DIR is the folder
	}{
		{"a class in pieces", func(dir string) { split(dir, "train", "valid"); spoil(dir, "train/low/*") }, 1,
			"train: no usable data: none of the training clips of low can be read: DIR/train/low/0.wav: "},
		{"nothing to validate on", func(dir string) { split(dir, "train", "valid"); spoil(dir, "valid/*/*") }, 1,
			"train: no usable data: none of the validation clips can be read: DIR/valid/high/0.wav: "},
		{"nothing at all", func(dir string) { split(dir, "train", "valid"); spoil(dir, "*/*/*") }, 1,
			"train: no usable data: no clip in DIR could be read\n"},
		{"a label of a split", func(dir string) { split(dir, "train", "valid"); spoil(dir, "valid/low/*") }, 0,
			"train: none of the validation clips of low can be read: it has no part in the choice of the best epoch\n"},
		{"one class", func(dir string) { tone(dir, "low", "a.wav"); tone(dir, "low", "b.wav") }, 1,
			"train: no usable data: DIR has the single class low; at least two are needed, each in a folder of " +
				"its own: put sounds that are none of it in a folder _unknown_\n"},
		{"a tab", func(dir string) { split(dir, "train", "valid"); tone(dir, "train", "a\tb", "a.wav") }, 1,
			"train: no usable data: the label \"a\\tb\" has control characters; rename its folder or cue points\n"},
		{"a line break", func(dir string) { split(dir, "train", "valid"); tone(dir, "train", "a\n", "a.wav") }, 1,
			"train: no usable data: the label \"a\\n\" has control characters; rename its folder or cue points\n"},
		{"no UTF-8", func(dir string) { split(dir, "train", "valid"); tone(dir, "train", "\xff", "a.wav") }, 1,
			"train: no usable data: the label \"\\xff\" is not UTF-8; rename its folder\n"},
		{"a comma", func(dir string) { split(dir, "train", "valid"); tone(dir, "train", "yes,no", "a.wav") }, 0,
			"train: the label yes,no has to be written yes\\,no in lists such as --words\n"},
		{"a backslash", func(dir string) { split(dir, "train", "valid"); tone(dir, "train", `a\b`, "a.wav") }, 0,
			`train: the label a\b has to be written a\\b in lists such as --words` + "\n"},
		{"a space", func(dir string) { split(dir, "train", "valid"); tone(dir, "train", "left ", "a.wav") }, 0,
			"train: the label \"left \" begins or ends with a space\n"},
		{"a long clip", func(dir string) { split(dir, "train", "valid"); long(dir, "train/low/z.wav", 7) }, 0,
			"train: 1 of 25 clips is longer than the window of 0.3 s, the longest DIR/train/low/z.wav with 7.0 s: " +
				"it is used in parts; --window sets another\n"},
		{"two long clips", func(dir string) {
			split(dir, "train", "valid", "test")
			split(dir+"/train", "low/more", "high/more")
			long(dir, "train/low/y.wav", 3)
			long(dir, "valid/low/z.wav", 4)
		}, 0, "train: 2 of 62 clips are longer than the window of 0.3 s, the longest DIR/valid/low/z.wav with 4.0 s: " +
			"they are used in parts; --window sets another\n"},
	} {
		dir := t.TempDir()
		c.make(dir)
		out := filepath.Join(t.TempDir(), "m")
		status, _, errs := train(t.Context(), quick(dir, out, "--epochs", "1", "--in-context", "0")...)
		text := strings.ReplaceAll(errs, dir, "DIR")
		begin := strings.Index(text, "epoch 1 ")
		if at := strings.Index(text, c.want); status != c.status || at < 0 || begin >= 0 && begin < at ||
			status != program.StatusOK && begin >= 0 {
			t.Errorf("%s: status %d, %s\nwant %s", c.name, status, text, c.want)
		}
		if _, err := os.Stat(out); (err == nil) != (c.status == program.StatusOK) {
			t.Errorf("%s: the model: %v", c.name, err)
		}
	}
}

// TestEscapedLabels: labels in lists are written as the note says.
func TestEscapedLabels(t *testing.T) {
	data := pitches(t, 12, "yes,no", "high", "other")
	out := filepath.Join(t.TempDir(), "m")
	status, _, errs := train(t.Context(), quick(data, out, "--words", `yes\,no,high`)...)
	m, err := polynet.Load(out)
	if status != program.StatusOK || err != nil || !slices.Equal(m.Labels, []string{"yes,no", "high", "_unknown_"}) {
		t.Errorf("status %d, %s, %v", status, errs, err)
	}
}

// TestDivergedFit: a run whose numbers are no longer finite ends with status 1, advice and the best model so far.
func TestDivergedFit(t *testing.T) {
	data := pitches(t, 12, "low", "high")
	for _, c := range []struct {
		name  string
		flags []string
		says  string // after the reason
		model bool
	}{
		{"at once", []string{"--lr", "1000", "--decay", "10", "--warmup", "0", "--clip", "0", "--epochs", "40"},
			"; lower --lr (now 1000) or set --clip (now off); there is no model of an earlier epoch to write to FILE\n",
			false},
		{"later", []string{"--lr", "100", "--decay", "10", "--warmup", "40", "--epochs", "40", "--ema", "0"},
			"; lower --lr (now 100) or --clip (now 2); the best model so far, of epoch N, is in FILE\n", true},
		{"later, unclipped", []string{"--lr", "3", "--decay", "10", "--warmup", "1", "--clip", "0", "--epochs", "40"},
			"; lower --lr (now 3) or set --clip (now off); the best model so far, of epoch N, is in FILE\n", true},
	} {
		out := filepath.Join(t.TempDir(), "m")
		status, printed, errs := train(t.Context(), quick(data, out, c.flags...)...)
		lines := strings.SplitAfter(strings.ReplaceAll(errs, out, "FILE"), "\n")
		last := lines[len(lines)-2]
		m, err := polynet.Load(out)
		if (err == nil) != c.model {
			t.Errorf("%s: %v", c.name, err)
		} else if c.model {
			c.says = strings.Replace(c.says, "N", fmt.Sprint(m.Provenance.BestEpoch), 1)
		}
		if status != program.StatusFailed || printed != "" || !strings.Contains(last, " of 40") ||
			!strings.Contains(last, ": the network diverged: ") || !strings.HasSuffix(last, c.says) {
			t.Errorf("%s: status %d, %q%s", c.name, status, printed, errs)
		}
	}
}
