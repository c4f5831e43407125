// Package need is how tests skip: every skip is one of its functions, which say why, so that in continuous integration,
// where POLYPHON_CI is 1, none is overlooked. What is missing there although it could be had is a failure; what cannot
// be had on a machine is written down as a line "DID NOT RUN: ..." that .ci/run prints at its end.
package need

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/internal/race"
)

// The environment variables that are looked at.
const (
	CI      = "POLYPHON_CI"      // 1: a skip for want of something is a failure
	Skipped = "POLYPHON_SKIPPED" // file to which Platform's lines are appended
	Folder  = "POLYPHON_DATA"    // folder of recordings
)

// Tool returns the path of an installed program.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		lacking(t, name+" is not installed")
	}
	return path
}

// Data returns the folder of recordings, which has Speech Commands in speech_commands.
func Data(t testing.TB) string {
	t.Helper()
	root := os.Getenv(Folder)
	if _, err := os.Stat(filepath.Join(root, "speech_commands", "testing_list.txt")); root == "" || err != nil {
		lacking(t, Folder+" names no folder of recordings")
	}
	return root
}

// Host skips if err says that the machine lacks what others have, such as symbolic links.
func Host(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		lacking(t, fmt.Sprintf("%s: %v", what, err))
	}
}

// Long skips in short runs, which a full one goes with.
func Long(t testing.TB, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip("not in short runs: " + why)
	}
}

// Unraced skips under the race detector. A run without it goes with that one.
func Unraced(t testing.TB, why string) {
	t.Helper()
	if race.Enabled() {
		t.Skip("not under the race detector: " + why)
	}
}

// Platform skips, whatever the machine, what it cannot do: it has no GPU, another operating system, another processor.
func Platform(t testing.TB, why string) {
	t.Helper()
	if path := os.Getenv(Skipped); path != "" {
		if err := appendLine(path, fmt.Sprintf("DID NOT RUN: %s %s: %s", program(), t.Name(), why)); err != nil {
			t.Fatal(err)
		}
	}
	t.Skip(why)
}

func lacking(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(CI) == "1" {
		t.Fatalf("%s, and %s=1 allows no skip", what, CI)
	}
	t.Skip(what)
}

// program returns the package under test.
func program() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "?"
	}
	return strings.TrimSuffix(info.Path, ".test")
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(f, line); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
