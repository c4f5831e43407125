// Package pulsetest starts a PulseAudio server for tests, with an output without a device and whose monitor is the
// microphone.
package pulsetest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/polyphon/polyphon/internal/need"
)

// Monitor is the name of the microphone: what is played is recorded, at 16 kHz and with one channel.
const Monitor = "speaker.monitor"

// Server is a running PulseAudio.
type Server struct {
	t       testing.TB
	process *exec.Cmd
	killed  sync.Once
}

// Start starts a server that ends with the test, and sets PULSE_SERVER to it.
func Start(t testing.TB) *Server {
	t.Helper()
	program := need.Tool(t, "pulseaudio")
	dir, err := os.MkdirTemp("", "pulse") // t.TempDir may be too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "native")
	var output bytes.Buffer
	s := &Server{t: t, process: exec.Command(program, "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
		"--disable-shm=yes", "--high-priority=no", "--realtime=no",
		"-L", "module-null-sink sink_name=speaker rate=16000 channels=1 format=s16le "+
			"sink_properties=device.description=Speaker",
		"-L", "module-native-protocol-unix auth-anonymous=1 socket="+socket)}
	s.process.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "HOME="+dir)
	s.process.Stdout, s.process.Stderr = &output, &output
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Kill()
		os.RemoveAll(dir)
	})
	t.(interface{ Setenv(key, value string) }).Setenv("PULSE_SERVER", "unix:"+socket)
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			return s
		}
		if time.Since(begun) > 20*time.Second {
			s.Kill()
			t.Fatalf("PulseAudio does not answer: %s", output.Bytes())
		}
	}
}

// Kill ends the server at once.
func (s *Server) Kill() {
	s.killed.Do(func() {
		s.process.Process.Kill()
		s.process.Wait()
	})
}

// Play plays mono PCM of 16 bits at 16 kHz to its end. Two seconds of it wait in the server, so that a busy machine
// makes no gaps.
func (s *Server) Play(pcm []byte) {
	s.t.Helper()
	play := exec.CommandContext(s.t.Context(), need.Tool(s.t, "pacat"),
		"--playback", "--raw", "--format=s16le", "--rate=16000", "--channels=1", "--latency-msec=2000")
	play.Stdin = bytes.NewReader(pcm)
	if out, err := play.CombinedOutput(); err != nil {
		s.t.Fatalf("pacat: %v\n%s", err, out)
	}
}
