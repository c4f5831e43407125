package microphone

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jfreymuth/pulse/proto"
	"github.com/polyphon/polyphon/audio"
)

const (
	dialTimeout    = 3 * time.Second
	requestTimeout = 3 * time.Second
	fragments      = 50 // a second: pieces in which sound arrives

	cookieBytes = 256
	none        = proto.Undefined // for an index
)

// encodings are the numbers of the sample formats that PulseAudio has.
var encodings = map[audio.Encoding]byte{
	audio.U8: proto.FormatUint8, audio.ALaw: 1, audio.MuLaw: 2, audio.S16LE: proto.FormatInt16LE,
	audio.S16BE: proto.FormatInt16BE, audio.F32LE: proto.FormatFloat32LE, audio.F32BE: proto.FormatFloat32BE,
	audio.S32LE: proto.FormatInt32LE, audio.S32BE: proto.FormatInt32BE, audio.S24LE: 9, audio.S24BE: 10,
}

// server is a connection to the sound server. Sound of the stream that is recorded goes into sound; when the connection
// ends, so does sound, with the reason.
type server struct {
	net.Conn
	client  proto.Client
	sound   *io.PipeReader
	arrived *io.PipeWriter
}

// connect connects to the server that PULSE_SERVER names, or to the one that runs for the user or the system.
func connect() (*server, error) {
	var failed error
	for _, address := range addresses() {
		network, path := split(address)
		conn, err := net.DialTimeout(network, path, dialTimeout)
		if err == nil {
			var s *server
			if s, err = open(conn); err == nil {
				return s, nil
			}
		}
		failed = cmp.Or(failed, err)
	}
	return nil, fmt.Errorf("%w: neither PulseAudio nor PipeWire answers (%v). Without one, record with "+
		"arecord -q -t raw -f S16_LE -r 16000 -c 1 | classify --stream", ErrUnavailable, failed)
}

// addresses returns where servers may be, as PULSE_SERVER has them.
func addresses() []string {
	if named := strings.Fields(os.Getenv("PULSE_SERVER")); len(named) > 0 {
		return named
	}
	var list []string
	if dir := os.Getenv("PULSE_RUNTIME_PATH"); dir != "" {
		list = append(list, filepath.Join(dir, "native"))
	}
	user := cmp.Or(os.Getenv("XDG_RUNTIME_DIR"), "/run/user/"+strconv.Itoa(os.Getuid()))
	return append(list, filepath.Join(user, "pulse", "native"), "/run/pulse/native")
}

// split returns the network and the address that a server's name stands for.
func split(name string) (network, address string) {
	if strings.HasPrefix(name, "{") { // the machine's name or number, which is not compared
		_, name, _ = strings.Cut(name, "}")
	}
	for _, network := range []string{"tcp", "tcp4", "tcp6"} {
		if address, ok := strings.CutPrefix(name, network+":"); ok {
			if _, _, err := net.SplitHostPort(address); err != nil {
				address = net.JoinHostPort(strings.Trim(address, "[]"), "4713")
			}
			return network, address
		}
	}
	return "unix", strings.TrimPrefix(name, "unix:")
}

// open begins a session.
func open(conn net.Conn) (*server, error) {
	s := &server{Conn: conn}
	s.sound, s.arrived = io.Pipe()
	s.client.Callback = s.take
	s.client.SetTimeout(requestTimeout)
	s.client.Open(s)
	var hello proto.AuthReply
	err := s.client.Request(&proto.Auth{Version: s.client.Version(), Cookie: cookie()}, &hello)
	if err == nil {
		s.client.SetVersion(hello.Version)
		name := proto.PropList{"application.name": proto.PropListString("polyphon")}
		err = s.client.Request(&proto.SetClientName{Props: name}, &proto.SetClientNameReply{})
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// cookie returns what the user is known by; a server that does not ask for it takes zeros.
func cookie() []byte {
	path := os.Getenv("PULSE_COOKIE")
	if home, err := os.UserHomeDir(); err == nil {
		path = cmp.Or(path, filepath.Join(home, ".config", "pulse", "cookie"))
	}
	if secret, err := os.ReadFile(path); err == nil && len(secret) == cookieBytes {
		return secret
	}
	return make([]byte, cookieBytes)
}

// Read is what the client reads from the connection.
func (s *server) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err != nil {
		s.arrived.CloseWithError(fmt.Errorf("the sound server ended the recording: %w", err))
	}
	return n, err
}

// take takes what the server sends besides replies. It waits until sound is read: the server keeps some seconds of it.
func (s *server) take(message any) {
	switch m := message.(type) {
	case *proto.DataPacket:
		s.arrived.Write(m.Data)
	case *proto.RecordStreamKilled:
		s.arrived.CloseWithError(fmt.Errorf("the microphone is gone"))
	}
}

// Close ends the connection and the sound.
func (s *server) Close() error {
	s.sound.Close() // before the connection: the client may be waiting for a reader
	return s.Conn.Close()
}

func (s *server) devices() ([]Device, error) {
	var general proto.GetServerInfoReply
	var sources proto.GetSourceInfoListReply
	if err := s.client.Request(&proto.GetServerInfo{}, &general); err != nil {
		return nil, err
	}
	if err := s.client.Request(&proto.GetSourceInfoList{}, &sources); err != nil {
		return nil, err
	}
	var list []Device
	for _, source := range sources {
		list = append(list, Device{
			Name: source.SourceName, Description: source.Device, Rate: int(source.Rate), Channels: int(source.Channels),
			Default: source.SourceName == general.DefaultSourceName, Monitor: source.MonitorSourceIndex != none,
		})
	}
	return list, nil
}

// Devices returns what can be recorded from. It returns ErrUnavailable where no sound server answers.
func Devices() ([]Device, error) {
	s, err := connect()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.devices()
}

// Recording is sound that is being recorded, to be read as raw PCM. It fills no more than the sound server's buffer
// while it is not read: what comes then is lost.
type Recording struct {
	Device Device
	Format audio.Format // of what Read returns
	server *server
}

// Open records from the device of a name or description; the default one where it is empty. What is zero in f is
// chosen: the device's rate, one channel to which all are mixed, 16 bits. It returns ErrUnavailable where no server
// answers, and an error that wraps audio.ErrFormat for what the server cannot deliver.
func Open(name string, f audio.Format) (*Recording, error) {
	s, err := connect()
	if err != nil {
		return nil, err
	}
	r := &Recording{server: s}
	if err := r.begin(name, f); err != nil {
		s.Close()
		return nil, err
	}
	return r, nil
}

func (r *Recording) begin(name string, f audio.Format) error {
	devices, err := r.server.devices()
	if err != nil {
		return err
	}
	if r.Device, err = find(devices, name); err != nil {
		return err
	}
	r.Format = r.Device.complete(f)
	encoding, ok := encodings[r.Format.Encoding]
	if !ok {
		return fmt.Errorf("%w: sound servers do not deliver %v", audio.ErrFormat, r.Format.Encoding)
	}
	order, err := channelMap(r.Format.Channels)
	if err != nil {
		return err
	}
	fragment := max(1, r.Format.Rate/fragments) * r.Format.Channels * r.Format.Encoding.Bytes()
	var reply proto.CreateRecordStreamReply
	err = r.server.client.Request(&proto.CreateRecordStream{
		SampleSpec: proto.SampleSpec{
			Format: encoding, Channels: byte(r.Format.Channels), Rate: uint32(r.Format.Rate),
		},
		ChannelMap: order, SourceIndex: none, SourceName: r.Device.Name,
		BufferMaxLength: none, BufferFragSize: uint32(fragment), AdjustLatency: true, DirectOnInputIndex: none,
		ChannelVolumes: make(proto.ChannelVolumes, r.Format.Channels), // not set: the device's volume counts
		Properties:     proto.PropList{"media.name": proto.PropListString("sound to classify")},
	}, &reply)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Device.Name, err)
	}
	return nil
}

// channelMap returns where so many channels are: in the middle, left and right, or anywhere.
func channelMap(channels int) (proto.ChannelMap, error) {
	switch {
	case channels == 1:
		return proto.ChannelMap{proto.ChannelMono}, nil
	case channels == 2:
		return proto.ChannelMap{proto.ChannelLeft, proto.ChannelRight}, nil
	case channels > 32:
		return nil, fmt.Errorf("%w: sound servers deliver at most 32 channels, not %d", audio.ErrFormat, channels)
	}
	var order proto.ChannelMap
	for i := range channels {
		order = append(order, byte(proto.ChannelAux0+i))
	}
	return order, nil
}

// Read implements io.Reader. Its error says why the sound has ended.
func (r *Recording) Read(p []byte) (int, error) { return r.server.sound.Read(p) }

// Close ends the recording.
func (r *Recording) Close() error { return r.server.Close() }
