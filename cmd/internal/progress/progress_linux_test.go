package progress

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/internal/need"
	"golang.org/x/sys/unix"
)

// terminal returns both ends of a pseudo-terminal: what is written to screen can be read from keyboard.
func terminal(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	need.Host(t, "pseudo-terminals", err)
	t.Cleanup(func() { keyboard.Close() })
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	need.Host(t, "pseudo-terminals", err)
	t.Cleanup(func() { screen.Close() })
	return keyboard, screen
}

func TestBar(t *testing.T) {
	keyboard, screen := terminal(t)
	b := New(screen, 40, "clips")
	b.Add(1)
	b.Describe("files")
	if !b.shown.IsZero() {
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
	before := b.shown
	if b.Add(1); b.shown != before && time.Since(before) < redraw {
		t.Error("the bar is drawn too often")
	}
}
