package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/program/programtest"
	"github.com/polyphon/polyphon/internal/safe"
)

// TestMain lets the test program stand in for the commands of --exec.
func TestMain(m *testing.M) {
	programtest.Main(main)
	switch os.Getenv("CLASSIFY_TEST_CHILD") {
	case "":
		os.Exit(m.Run())
	case "args": // prints its arguments
		json.NewEncoder(os.Stdout).Encode(os.Args[1:])
	case "fail":
		os.Exit(3)
	case "sleep":
		time.Sleep(time.Minute)
	}
}

// child returns a command line that runs the test program as the given child.
func child(t *testing.T, kind, args string) string {
	t.Helper()
	t.Setenv("CLASSIFY_TEST_CHILD", kind)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("'%s' %s", program, args)
}

// runCommands runs the command line for detections of the labels and returns what was written.
func runCommands(t *testing.T, line string, timeout time.Duration, labels ...string) (*runner, string) {
	t.Helper()
	template, err := parseCommand(line, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := newRunner(template, &console{w: &out})
	for _, label := range labels {
		e := event{Label: safe.String(label), P: 0.97, Time: 12.34, Start: 11.9, End: 12.3}
		e.Clock = "2026-01-02T03:04:05Z"
		c.add(e)
	}
	c.close(timeout)
	return c, out.String()
}

func TestExecArguments(t *testing.T) {
	evil := []string{
		`left`, `a b`, `$(touch pwned)`, `"; rm -rf /; "`, `'`, "`id`", `{p}`, `{label}`, `\`, `*`, `--help`, `é✓`,
		`%PATH%`, ``,
	}
	line := child(t, "args", `-- {label} 'p={p}' "{time} {start}"-{end} \{label\} '{"label":"{label}"}' {clock} a\ b`)
	c, out := runCommands(t, line, time.Minute, evil...)
	var got []string
	for text := range strings.Lines(out) {
		var args []string
		if err := json.Unmarshal([]byte(text), &args); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		want := []string{
			"--", evil[len(got)], "p=0.97", "12.34 11.9-12.3", evil[len(got)],
			`{"label":"` + evil[len(got)] + `"}`, "2026-01-02T03:04:05Z", "a b",
		}
		if !slices.Equal(args, want) {
			t.Errorf("arguments %q, want %q", args, want)
		}
		got = append(got, args[1])
	}
	expect(t, "commands", len(got), len(evil)) // in the order of the events
	expect(t, "left out, failed, cut off", []int{c.left, c.failed, c.cut}, []int{0, 0, 0})
}

func TestExecUsage(t *testing.T) {
	for line, want := range map[string]string{
		``:                       "without a command",
		`   `:                    "without a command",
		`echo "left`:             "Unterminated double-quoted",
		`echo 'left`:             "Unterminated single-quoted",
		`echo left\`:             "backslash",
		`{label}`:                "cannot depend on the event",
		`/bin/{label} x`:         "cannot depend on the event",
		`echo {lable}`:           "{lable} is none of {label} {p}",
		`no-such-program-here x`: "no-such-program-here",
	} {
		if _, err := parseCommand(line, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", line, err, want)
		}
	}
	labels := []string{"left", "-rf"}
	for line, refused := range map[string]bool{
		`echo {label}`: true, `echo {label}.wav`: true, `echo a {label}`: true,
		`echo x{label}`: false, `echo -- {label}`: false, `echo -l={label}`: false, `echo {p}`: false,
	} {
		if _, err := parseCommand(line, labels); (err != nil) != refused {
			t.Errorf("%q with the label -rf: %v", line, err)
		}
	}
}

func TestExecFailuresAreReported(t *testing.T) {
	c, out := runCommands(t, child(t, "fail", "{label}"), time.Minute, "left", "right")
	expect(t, "failed", c.failed, 2)
	expect(t, "lines", strings.Count(out, "\n"), 2)
	contains(t, "message", out, `for "right" at 12.34 s: exit status 3`)
}

// TestExecNeverBlocks queues far more commands than there is room for after one that does not end.
func TestExecNeverBlocks(t *testing.T) {
	begin := time.Now()
	c, out := runCommands(t, child(t, "sleep", ""), 100*time.Millisecond, make([]string, 40)...)
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
	if c.left+c.cut != 40 || c.cut > 1 || c.failed > 0 {
		t.Errorf("%d left out, %d cut off, %d failed", c.left, c.cut, c.failed)
	}
	contains(t, "overflow", out, "16 commands wait")
	contains(t, "end", out, "not done after 100ms, stopped")
}

// FuzzCommand holds that an event changes nothing but the arguments with placeholders, however a label looks.
func FuzzCommand(f *testing.F) {
	f.Add(`echo {label} "{p} x" 'a {time}'`, `"; rm -rf / #`)
	f.Add(`echo -- {label}{label} \{start}`, `{end} {clock}`)
	f.Fuzz(func(t *testing.T, line, label string) {
		template, err := parseCommand("true "+line, []string{label})
		if err != nil {
			return
		}
		words := template.command(event{Label: safe.String(label), P: 0.5})
		if len(words) != len(template) {
			t.Fatalf("%q becomes %q", template, words)
		}
		for i, word := range template {
			if !inBraces.MatchString(word) && words[i] != word {
				t.Fatalf("argument %q becomes %q", word, words[i])
			}
			if word == "{label}" && words[i] != label {
				t.Fatalf("the label is %q", words[i])
			}
		}
	})
}
