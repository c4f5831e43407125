package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/filing"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/safe"
)

type reviewCmd struct {
	Dir  string `arg:"" help:"Folder of clips, such as that of classify --save." type:"path"`
	Into string `help:"Folder to train on, CLASS/*.wav, that clips go into." required:"" type:"path" placeholder:"DIR"`
	Move bool   `help:"Move the clips instead of copying them."`
	Addr string `help:"${reviewAddr}" default:"127.0.0.1:0" placeholder:"HOST:PORT"`

	Decoding decoding.Flags `embed:""`
}

func init() {
	texts["reviewAddr"] = "Address of this machine to listen on; port 0 is any that is free."
}

// reviewHold is how long answers may take to be finished after a signal.
const reviewHold = 5 * time.Second

// Run serves the page until ctx is done.
func (c *reviewCmd) Run(ctx context.Context, s program.Streams) error {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil || !isLoopback(host) {
		return usageError("--addr %s: an address of this machine is needed, such as 127.0.0.1:8081", c.Addr)
	}
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	action := filing.Copy
	if c.Move {
		action = filing.Move
	}
	r, err := newReviewer(c.Dir, c.Into, action)
	if err != nil {
		return err
	}
	defer r.log.Close()
	listener, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return err
	}
	defer program.Hold(ctx, reviewHold)() // before anybody can know the address
	token := rand.Text()
	safe.Fprintf(s.Err, "train: %d clips to review, %d are filed already; open this in a browser, Ctrl-C ends it:\n",
		len(r.clips), r.filed())
	fmt.Fprintf(s.Out, "http://%s/#%s\n", listener.Addr(), token)
	server := &http.Server{Handler: r.handler(token), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 1 << 16}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewHold)
	defer cancel()
	err = errors.Join(err, server.Shutdown(closing))
	safe.Fprintf(s.Err, "train: %d of %d clips are filed in %s; to undo: classify --undo %s\n",
		r.filed(), len(r.clips), c.Into, r.logPath)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// isLoopback reports whether a host is this machine, as reached from itself.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
