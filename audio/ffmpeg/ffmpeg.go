// Package ffmpeg decodes sound with an installed ffmpeg: what package audio does not read, such as AAC, AMR and the
// sound of videos.
package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/polyphon/polyphon/audio"
)

// ErrMissing says that there is no ffmpeg to run.
var ErrMissing = errors.New("ffmpeg is not installed, or not in a folder of PATH")

// Register has package audio turn to ffmpeg with sounds that it does not read, until ctx is done, and take files with
// ffmpeg's extensions for sound. Without an ffmpeg, it returns ErrMissing.
func Register(ctx context.Context) error {
	program, err := exec.LookPath("ffmpeg")
	if err != nil {
		return ErrMissing
	}
	audio.RegisterFallback(func(path string, r io.Reader) (io.ReadCloser, error) {
		return start(ctx, program, path, r)
	}, audio.OtherExtensions()...)
	return nil
}

// process is an ffmpeg at work. Its methods may be called from one goroutine at a time.
type process struct {
	io.Reader // its output
	input     string
	command   *exec.Cmd
	ctx       context.Context
	stop      context.CancelFunc
	complaint complaint
	fed       chan error // the input's, other than io.EOF, once that has ended
	delivered bool
	end       sync.Once
	broken    error // the input's
	err       error // that ffmpeg ended with
}

// start runs ffmpeg on the file at path or, where that is "", on r.
func start(ctx context.Context, program, path string, r io.Reader) (*process, error) {
	ctx, stop := context.WithCancel(ctx)
	input, protocol := "pipe:0", "pipe"
	if path != "" {
		absolute, err := filepath.Abs(path)
		if err != nil {
			stop()
			return nil, err
		}
		input, protocol = "file:"+absolute, "file"
	}
	// What a playlist names is not opened. Samples are floats, so that none are clipped.
	c := exec.CommandContext(ctx, program, "-hide_banner", "-loglevel", "error", "-nostdin",
		"-protocol_whitelist", protocol, "-i", input, "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1")
	p := &process{input: input, command: c, ctx: ctx, stop: stop, fed: make(chan error, 1)}
	c.Stderr = &p.complaint
	out, err := c.StdoutPipe()
	var in io.WriteCloser
	if err == nil && path == "" {
		in, err = c.StdinPipe()
	}
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		stop()
		return nil, err
	}
	p.Reader = out
	if in != nil {
		go p.feed(in, r)
	}
	return p, nil
}

// feed passes r on to ffmpeg. It is not waited for, since r may deliver nothing for ever.
func (p *process) feed(in io.WriteCloser, r io.Reader) {
	defer in.Close()
	block := make([]byte, 32<<10)
	for {
		n, err := r.Read(block)
		if _, closed := in.Write(block[:n]); closed != nil {
			return
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			p.fed <- err
			return
		}
	}
}

// Read implements io.Reader. Where ffmpeg fails before it has delivered anything, its complaint is the error.
func (p *process) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.delivered = p.delivered || n > 0
	if err == nil || n > 0 {
		return n, nil
	}
	p.end.Do(p.wait)
	switch {
	case p.ctx.Err() != nil:
		return 0, p.ctx.Err()
	case p.broken != nil:
		return 0, p.broken
	case p.err != nil && !p.delivered:
		return 0, p.err
	}
	return 0, io.EOF
}

// wait waits for the end of the process and keeps what it complained about.
func (p *process) wait() {
	err := p.command.Wait()
	select {
	case p.broken = <-p.fed:
	default:
	}
	if text := p.complaint.text(p.input); text != "" {
		p.err = fmt.Errorf("ffmpeg: %s", text)
	} else if err != nil {
		p.err = fmt.Errorf("ffmpeg: %w", err)
	}
}

// Warning returns what ffmpeg complained about although it delivered sound.
func (p *process) Warning() string {
	if p.err == nil {
		return ""
	}
	return p.err.Error()
}

// Close ends the process.
func (p *process) Close() error {
	p.stop()
	p.end.Do(func() { p.command.Wait() })
	return nil
}

// complaint keeps the beginning of what is written to it.
type complaint struct{ bytes.Buffer }

func (c *complaint) Write(b []byte) (int, error) {
	const most = 4 << 10
	c.Buffer.Write(b[:min(len(b), max(most-c.Len(), 0))])
	return len(b), nil
}

// text returns the last line, without what messages have anyway: the name of the input, and addresses in memory.
func (c *complaint) text(input string) string {
	lines := strings.Split(strings.TrimSpace(c.String()), "\n")
	last := strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), input+": ")
	return address.ReplaceAllString(last, "")
}

var address = regexp.MustCompile(` @ 0x[0-9a-f]+`)
