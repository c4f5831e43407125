//go:build unix

package audio

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/polyphon/polyphon/internal/need"
)

func TestFilesLeavesOutPipesSocketsAndDevices(t *testing.T) {
	t.Chdir(plant(t, "link.wav -> pipe.wav", "x.wav"))
	need.Host(t, "pipes and links", errors.Join(syscall.Mkfifo("pipe.wav", 0o600), os.Symlink(os.DevNull, "device.wav")))
	if l, err := net.Listen("unix", "socket.wav"); err == nil { // a short path: there is a limit
		defer l.Close()
	}
	if got := walked(t, "."); !slices.Equal(got, []string{"x.wav"}) {
		t.Errorf("%q, want x.wav", got)
	}
	for f, err := range Files("pipe.wav") {
		if !errors.Is(err, ErrFormat) || f.Rel != filepath.Base(f.Path) {
			t.Errorf("a pipe as the root: %+v, error %v", f, err)
		}
	}
}
