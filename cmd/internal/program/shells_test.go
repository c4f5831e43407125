package program

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/internal/need"
)

// programs builds polyphon's commands and returns their folder.
func programs(t *testing.T) string {
	t.Helper()
	need.Long(t, "builds the commands")
	if runtime.GOOS == "windows" {
		need.Platform(t, "shells of Unix")
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir+string(os.PathSeparator), "../../classify", "../../train")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// tool returns a command that finds the programs, or skips the test where the tool is not installed.
func tool(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(need.Tool(t, name), args...)
	c.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+dir, "TERM=dumb")
	c.Dir = filepath.Join(dir, "work")
	for _, sub := range []string{"rec", "results"} {
		if err := os.MkdirAll(filepath.Join(c.Dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"rec.wav", "a b.wav"} {
		if err := os.WriteFile(filepath.Join(c.Dir, file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func output(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", c.Args, err, out)
	}
	return string(out)
}

// lines are the first words of an answer, sorted: a shell may add help, and a slash to a folder.
func lines(out string) []string {
	var list []string
	for line := range strings.Lines(out) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if word = strings.TrimSuffix(word, "/"); word != "" {
			list = append(list, word)
		}
	}
	slices.Sort(list)
	return list
}

// completions are command lines and what every shell must offer for their last words.
var completions = []struct {
	typed []string
	want  []string
}{
	{[]string{"classify", "--for"}, []string{"--force", "--format"}},
	{[]string{"classify", "--format", "c"}, []string{"csv"}},
	{[]string{"classify", "doct"}, []string{"doctor"}},
	{[]string{"classify", "doctor", "--format", ""}, []string{"json", "text"}},
	{[]string{"classify", "--out", ""}, []string{"rec", "results"}},
	{[]string{"classify", "rec"}, []string{"rec", "rec.wav"}},
	{[]string{"classify", "--top", ""}, nil},
	{[]string{"train", "fit", "--arch", "pi"}, []string{"pi", "pi-relu", "pi-tanh", "pi1x1", "pi1x1-relu"}},
	{[]string{"train", "ev"}, []string{"eval"}},
	{[]string{"classify", "--model", "b"}, []string{"base"}},
	{[]string{"classify", "--model", ""}, []string{"a b.wav", "base", "rec", "rec.wav", "results", "small", "tiny"}},
	{[]string{"classify", "doctor", "--model", "sm"}, []string{"small"}},
	{[]string{"train", "eval", "--model", "re"}, []string{"rec", "rec.wav", "results"}},
	{[]string{"train", "tune", "--model", "b"}, []string{"base"}},
	{[]string{"train", "calibrate", "--model", "s"}, []string{"small"}},
	{[]string{"train", "import", "--like", "b"}, []string{"base"}},
	{[]string{"train", "info", "s"}, []string{"small"}},
	{[]string{"train", "export", "b"}, []string{"base"}},
	{[]string{"train", "fit", "--teacher", "b"}, []string{"base"}},
	{[]string{"train", "fit", "--teacher", "base,s"}, []string{"base,small"}},
	{[]string{"train", "completion", "f"}, []string{"fish"}},
}

func check(t *testing.T, typed []string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%q offers %q, want %q", typed, got, want)
	}
}

func TestBash(t *testing.T) {
	dir := programs(t)
	for _, c := range append(completions,
		struct{ typed, want []string }{[]string{"classify", "--format", "=", "c"}, []string{"csv"}}, // as bash cuts it
		struct{ typed, want []string }{
			[]string{"classify", "--format", "="}, []string{"audacity", "csv", "json", "ndjson", "text"},
		},
		struct{ typed, want []string }{[]string{"classify", "--out", "=", "re"}, []string{"rec", "results"}},
		struct{ typed, want []string }{[]string{"classify", "--format", "=", "csv", "--top", "3", "a"}, []string{"a b.wav"}},
	) {
		script := `set -u; source <("$1" completion bash); shift
			COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _$1 "$1"; printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"}`
		run := tool(t, dir, "bash", append([]string{"-c", script, "bash", c.typed[0]}, c.typed...)...)
		check(t, c.typed, lines(output(t, run)), c.want)
	}
	for _, name := range []string{"classify", "train"} {
		script := output(t, tool(t, dir, filepath.Join(dir, name), "completion", "bash"))
		run := tool(t, dir, "bash", "-n")
		run.Stdin = strings.NewReader(script)
		output(t, run)
	}
}

func TestFish(t *testing.T) {
	dir := programs(t)
	for _, c := range append(completions,
		struct{ typed, want []string }{[]string{"classify", "--format=c"}, []string{"--format=csv"}},
		struct{ typed, want []string }{[]string{"classify", "--out=re"}, []string{"--out=rec", "--out=results"}},
	) {
		script := c.typed[0] + ` completion fish | source; complete -C '` + strings.Join(c.typed, " ") + `'`
		check(t, c.typed, lines(output(t, tool(t, dir, "fish", "--no-config", "-c", script))), c.want)
	}
	for _, name := range []string{"classify", "train"} {
		output(t, tool(t, dir, "fish", "-c", name+" completion fish > x.fish; and fish -n x.fish"))
	}
}

// terminalAttempts is how often zsh is asked: on a busy machine its terminal may be read before the list is in it.
const terminalAttempts = 4

// TestZsh types in a terminal of zsh's own, and lists what the completion adds.
func TestZsh(t *testing.T) {
	dir := programs(t)
	const script = `
		zmodload zsh/zpty || exit 3
		setup='PROMPT=; autoload -Uz compinit; compinit -D -u
			source <(classify completion zsh); source <(train completion zsh)
			compadd() { builtin compadd -O found "$@"; print -l -- "<"$^found; builtin compadd "$@" }
			zle -C complete-word complete-word report
			report() { local list_only=1; compstate[insert]=; print; _main_complete; print -- "<end>"; exit }
			bindkey "^I" complete-word'
		zpty shell zsh -f -i
		zpty -w shell "$setup"
		zpty -w shell 'print ready''>'
		zpty -r shell line "*ready>*"
		zpty -n -w shell "$*"$'\t'
		zpty -r shell line "*<end>*"
		print -r -- "$line"`
	for _, c := range append(completions,
		struct{ typed, want []string }{[]string{"classify", "--format=c"}, []string{"--format=csv"}},
	) {
		var got []string
		for range terminalAttempts {
			got = nil
			run := tool(t, dir, "zsh", "-f", "-c", script, "zsh", strings.Join(c.typed, " "))
			for line := range strings.Lines(output(t, run)) {
				if word, found := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "<"); found && word != "end>" {
					got = append(got, word)
				}
			}
			if slices.Sort(got); len(got) > 0 {
				break
			}
		}
		check(t, c.typed, slices.Compact(got), c.want)
	}
	for _, name := range []string{"classify", "train"} {
		output(t, tool(t, dir, "zsh", "-f", "-c", name+" completion zsh > x.zsh && zsh -n x.zsh"))
	}
}

func TestManualPages(t *testing.T) {
	dir := programs(t)
	for _, name := range []string{"classify", "train"} {
		page := output(t, tool(t, dir, filepath.Join(dir, name), "man"))
		t.Run("mandoc "+name, func(t *testing.T) {
			lint := tool(t, dir, "mandoc", "-T", "lint", "-W", "warning")
			lint.Stdin = strings.NewReader(page)
			out, _ := lint.CombinedOutput()
			for line := range strings.Lines(string(out)) {
				if !strings.Contains(line, "missing date") { // that of a commit, which a test's build has not
					t.Error(line)
				}
			}
		})
		t.Run("groff "+name, func(t *testing.T) {
			format := tool(t, dir, "groff", "-man", "-Kutf8", "-Tascii", "-ww", "-P-cbou")
			format.Stdin = strings.NewReader(page)
			out := output(t, format)
			if strings.Contains(out, "warning") || !strings.Contains(out, "--version") {
				t.Error(out)
			}
		})
	}
}
