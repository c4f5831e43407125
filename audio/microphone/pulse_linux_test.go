package microphone

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/internal/pulsetest"
)

// tone returns seconds of a sine of an amplitude.
func tone(seconds, hertz, amplitude float64) []byte {
	var pcm []byte
	for i := range int(seconds * 16000) {
		v := amplitude * math.Sin(2*math.Pi*hertz*float64(i)/16000)
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(int16(v*32767)))
	}
	return pcm
}

func TestRecordsWhatIsPlayed(t *testing.T) {
	need.Long(t, "plays sound at its own speed")
	server := pulsetest.Start(t)
	devices, err := Devices()
	want := Device{Name: pulsetest.Monitor, Description: "Monitor of Speaker", Rate: 16000, Channels: 1,
		Default: true, Monitor: true}
	if err != nil || len(devices) != 1 || devices[0] != want {
		t.Fatalf("%+v, %v, want %+v", devices, err, want)
	}
	for _, f := range []audio.Format{
		{}, {Rate: 48000, Channels: 2, Encoding: audio.F32LE}, {Rate: 22050, Encoding: audio.S24LE}, {Channels: 4},
	} {
		r, err := Open("monitor of speaker", f)
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		decoder, err := audio.Raw(r, r.Format.Encoding, r.Format.Rate, r.Format.Channels)
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		played := make(chan struct{})
		go func() {
			defer close(played)
			server.Play(tone(0.5, 440, 0.5))
		}()
		var loudest float32
		samples := make([]float32, r.Format.Rate*3/2)
		if n, err := audio.ReadFull(decoder, samples); n != len(samples) || err != nil {
			t.Fatalf("%+v: %d samples, %v", f, n, err)
		}
		for _, v := range samples {
			loudest = max(loudest, v)
		}
		if loudest < 0.4 || loudest > 0.6 {
			t.Errorf("%+v: a sine of amplitude 0.5 is recorded with %.2f", f, loudest)
		}
		r.Close()
		<-played
	}
}

func TestServerThatEnds(t *testing.T) {
	server := pulsetest.Start(t)
	r, err := Open("", audio.Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	time.AfterFunc(200*time.Millisecond, server.Kill)
	if _, err := io.Copy(io.Discard, r); err == nil || !strings.Contains(err.Error(), "sound server ended") {
		t.Errorf("the recording ended with %v", err)
	}
}

// TestUnreadRecordingCloses closes a recording whose sound nobody reads.
func TestUnreadRecordingCloses(t *testing.T) {
	pulsetest.Start(t)
	r, err := Open("", audio.Format{})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Read(make([]byte, 1)); err == nil {
		t.Error("a closed recording is read")
	}
}

func TestNames(t *testing.T) {
	pulsetest.Start(t)
	for _, c := range []struct {
		name string
		f    audio.Format
		want string
	}{
		{"usb", audio.Format{}, `no microphone "usb" (there are: speaker.monitor)`},
		{"", audio.Format{Encoding: audio.F64LE}, "do not deliver f64le"},
		{"", audio.Format{Channels: 33}, "at most 32 channels"},
	} {
		if r, err := Open(c.name, c.f); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, %v, want %s", c.name, r, err, c.want)
		}
	}
}

// TestServersThatMisbehave connects to nothing, to what closes at once, and to what is no sound server.
func TestServersThatMisbehave(t *testing.T) {
	for name, answer := range map[string][]byte{
		"closes at once":  {},
		"is another kind": []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
		"is absent":       nil,
	} {
		path := filepath.Join(t.TempDir(), "s")
		t.Setenv("PULSE_SERVER", "unix:"+path)
		if answer != nil {
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					conn.Write(answer)
					conn.Close()
				}
			}()
		}
		if _, err := Devices(); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "arecord") {
			t.Errorf("a server that %s: %v", name, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for name, want := range map[string]string{
		"unix:/run/x": "unix /run/x", "/run/x": "unix /run/x", "tcp:host": "tcp host:4713", "tcp6:[::1]": "tcp6 [::1]:4713",
		"tcp4:10.0.0.1:99": "tcp4 10.0.0.1:99", "{0123}unix:/run/x": "unix /run/x",
	} {
		if network, address := split(name); network+" "+address != want {
			t.Errorf("%s is %s %s, want %s", name, network, address, want)
		}
	}
	t.Setenv("PULSE_SERVER", "tcp:a tcp:b")
	if got := strings.Join(addresses(), " "); got != "tcp:a tcp:b" {
		t.Errorf("servers %s", got)
	}
	t.Setenv("PULSE_SERVER", "")
	t.Setenv("PULSE_RUNTIME_PATH", "/p")
	t.Setenv("XDG_RUNTIME_DIR", "/x")
	if got := strings.Join(addresses(), " "); got != "/p/native /x/pulse/native /run/pulse/native" {
		t.Errorf("servers %s", got)
	}
}
