package progress

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal returns both ends of a pseudo-terminal: what is written to screen can be read from keyboard.
func terminal(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { screen.Close() })
	return keyboard, screen
}

func TestBar(t *testing.T) {
	keyboard, screen := terminal(t)
	b := New(screen, 40, "clips")
	b.Add(1)
	b.Describe("files")
	if !b.drawn.IsZero() {
		t.Error("the bar is drawn at once")
	}
	b.begun = b.begun.Add(-2 * delay)
	b.Add(9)
	b.Clear()
	drawn := make([]byte, 4096)
	n, err := keyboard.Read(drawn)
	if text := string(drawn[:n]); err != nil || !strings.Contains(text, "files") {
		t.Errorf("%q, %v", text, err)
	}
	before := b.drawn
	if b.Add(1); b.drawn != before && time.Since(before) < redraw {
		t.Error("the bar is drawn too often")
	}
}

// A nil Bar, which New returns where there is no terminal, does nothing.
func TestNoTerminal(t *testing.T) {
	var out bytes.Buffer
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, b := range []*Bar{New(&out, 1, ""), New(file, 1, "")} {
		b.Add(1)
		b.Describe("text")
		b.Clear()
		if b != nil {
			t.Error("a bar without a terminal")
		}
	}
}
