package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/serve"
	"github.com/polyphon/polyphon/serve/web"
)

// server is the command that answers over the network.
type server struct {
	Addr      string     `help:"${addr}" default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Model     []string   `help:"${serveModel}" placeholder:"MODEL" sep:"none"`
	TokenFile string     `help:"${tokenFile}" placeholder:"FILE"`
	TLSCert   string     `help:"Certificate in PEM, with which HTTPS is served." placeholder:"FILE"`
	TLSKey    string     `help:"Key of the certificate, in PEM." placeholder:"FILE"`
	Origin    []string   `help:"${origin}" placeholder:"URL"`
	Save      string     `help:"${serveSave}" placeholder:"DIR"`
	Pool      string     `help:"${servePool}" enum:"mean,max,share" default:"mean" placeholder:"POOL"`
	Wyoming   string     `help:"${wyoming}" placeholder:"URL"`
	MQTT      string     `help:"${mqtt}" env:"POLYPHON_MQTT" placeholder:"URL"`
	Log       string     `help:"Format of the log on standard error: ${enum}." enum:"text,json" default:"text"`
	LogLevel  slog.Level `help:"${logLevel}" default:"info" placeholder:"LEVEL"`

	Limits    serveLimits     `embed:"" group:"Limits:"`
	Computing computing.Flags `embed:""`
	Decoding  decoding.Flags  `embed:""`
}

// serveLimits are flags about what clients may use; 0 stands for the default.
type serveLimits struct {
	MaxBody     int64         `help:"Bytes of a request (default: 256 MiB)." default:"0" placeholder:"N"`
	MaxDuration time.Duration `help:"Length of a sound that is uploaded (default: 1h)." default:"0" placeholder:"T"`
	MaxStreams  int           `help:"Live streams at once (default: 4096)." default:"0" placeholder:"N"`
	MaxLag      time.Duration `help:"Lag at which a live stream is dropped (default: 10s)." default:"0" placeholder:"T"`
	Rate        int           `help:"Requests a minute and address (default: no limit)." default:"0" placeholder:"N"`
}

func init() {
	for name, text := range map[string]string{
		"addr": "Address to listen on. The default is reached from this machine only; :8080 from everywhere.",
		"serveModel": "Model to serve, a file, base, small or tiny, as NAME=MODEL under another name; can be repeated, " +
			"and the first is the default (default: base, small and tiny).",
		"tokenFile": "File with the token that requests need, as Authorization: Bearer TOKEN. Without one, all are answered.",
		"origin":    "Address of another page that may use the service, such as https://example.org; can be repeated.",
		"wyoming":   "Be a wake word service of Home Assistant, at an address such as tcp://0.0.0.0:10400.",
		"mqtt": "Publish events to an MQTT broker, such as mqtt://user:password@host/polyphon/kitchen, where Home " +
			"Assistant finds them by itself. Best set in the environment: other users see command lines.",
		"logLevel": "Least level of what is logged: debug (every request and stream), info, warn or error.",
		"servePool": "How the labels over the whole of a sound longer than a window are made, where a request does not " +
			"say so: mean, max or share, as for classify.",
		"serveSave": "Let the page save clips below this folder.",
	} {
		texts[name] = text
	}
}

// closeWithin is how long requests and streams may take to end after a signal.
const closeWithin = 30 * time.Second

// Run serves until ctx is done.
func (c *server) Run(ctx context.Context, s program.Streams) error {
	if err := c.check(); err != nil {
		return program.WithStatus(program.StatusUsage, err)
	}
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	config, err := c.config(s)
	if err != nil {
		return err
	}
	var cert *certificate // nil: HTTP
	if c.TLSCert != "" {
		cert = &certificate{cert: c.TLSCert, key: c.TLSKey}
		if err := cert.load(); err != nil {
			return program.WithStatus(program.StatusUsage, fmt.Errorf("--tls-cert and --tls-key: %w", err))
		}
	}
	device, err := c.Computing.Open(1)
	if err != nil {
		return program.WithStatus(program.StatusModel, err)
	}
	if device.Note != "" {
		safe.Fprintf(s.Err, "classify: %s\n", device.Note)
	}
	config.Device = device.Trainer
	h := &home{log: config.Logger}
	if err := h.publish(c.MQTT, &config); err != nil {
		return program.WithStatus(program.StatusUsage, err)
	}
	service, err := serve.New(config)
	if errors.Is(err, serve.ErrRequest) {
		return errors.Join(program.WithStatus(program.StatusUsage, err), h.close(ctx))
	}
	if err != nil {
		return errors.Join(program.WithStatus(program.StatusModel, err), h.close(ctx))
	}
	if err := h.begin(c.Wyoming, service); err != nil {
		return errors.Join(err, h.close(ctx), service.Close(ctx))
	}
	program.OnHangUp(ctx, func() { reload(service, h, cert, config.Logger) })
	err = c.serve(ctx, service, h, cert, config.Logger)
	return errors.Join(err, device.Close())
}

// reload reads the certificate, if there is one, and the models again. What cannot be read stays as it was.
func reload(service *serve.Server, h *home, cert *certificate, log *slog.Logger) {
	if cert != nil {
		if err := cert.load(); err != nil {
			log.Error("the certificate stays as it was", "error", err)
		} else {
			log.Info("the certificate has been read again")
		}
	}
	if err := service.Reload(); err != nil {
		log.Error("the models stay as they were", "error", err)
		return
	}
	log.Info("the models have been loaded again")
	h.reloaded()
}

func (c *server) check() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key need each other")
	}
	for _, origin := range c.Origin {
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil {
			return fmt.Errorf("--origin %s: %w", origin, err)
		}
	}
	l := c.Limits
	if l.MaxBody < 0 || l.MaxDuration < 0 || l.MaxStreams < 0 || l.MaxLag < 0 || l.Rate < 0 {
		return errors.New("limits cannot be negative")
	}
	return nil
}

func (c *server) config(s program.Streams) (serve.Config, error) {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	var handler slog.Handler = slog.NewTextHandler(s.Err, options)
	if c.Log == "json" {
		handler = slog.NewJSONHandler(s.Err, options)
	}
	config := serve.Config{
		Origins: c.Origin, SaveDir: c.Save, Page: web.Handler(), Logger: slog.New(handler), Pool: polyphon.Pool(c.Pool),
		Limits: serve.Limits{
			Body: c.Limits.MaxBody, Duration: c.Limits.MaxDuration, Streams: c.Limits.MaxStreams, Lag: c.Limits.MaxLag,
			Rate: c.Limits.Rate,
		},
	}
	if host, _, err := net.SplitHostPort(c.Addr); err == nil && c.TokenFile == "" && loopback(host) {
		config.Hosts = []string{"localhost", "127.0.0.1", "::1", host}
	}
	for _, model := range c.Model {
		config.Models = append(config.Models, modelSource(model))
	}
	if c.TokenFile != "" {
		text, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return config, fmt.Errorf("--token-file: %w", err)
		}
		if config.Token = bytes.TrimSpace(text); len(config.Token) == 0 {
			return config, program.WithStatus(program.StatusUsage, fmt.Errorf("--token-file %s: it is empty", c.TokenFile))
		}
	}
	return config, nil
}

// loopback reports whether a host is this machine, as reached from itself.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// modelSource returns the source that a flag names: NAME=MODEL, or MODEL, a file being named without its folder and
// extension.
func modelSource(flag string) serve.Source {
	if name, path, ok := strings.Cut(flag, "="); ok {
		return serve.Source{Name: name, Path: path}
	}
	name := flag
	if !models.Embedded(flag) {
		name = strings.TrimSuffix(filepath.Base(flag), filepath.Ext(flag))
	}
	return serve.Source{Name: name, Path: flag}
}

// serve answers requests until ctx is done, and then finishes those that are under way.
func (c *server) serve(
	ctx context.Context, service *serve.Server, h *home, cert *certificate, log *slog.Logger,
) error {
	listener, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return errors.Join(err, service.Close(ctx), h.close(ctx))
	}
	http := &http.Server{
		Handler: service.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 1 << 16, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	scheme := "http"
	if cert != nil {
		scheme, http.TLSConfig = "https", cert.config()
		go func() { served <- http.ServeTLS(listener, "", "") }()
	} else {
		go func() { served <- http.Serve(listener) }()
	}
	defer program.Hold(ctx, closeWithin)() // before anybody can know that it listens
	log.Info("listening", "url", scheme+"://"+listener.Addr().String())
	select {
	case err = <-served:
	case <-ctx.Done():
		log.Info("closing")
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- errors.Join(h.endWyoming(closing), service.Close(closing), h.close(closing)) }()
	failed := errors.Join(http.Shutdown(closing), <-done)
	return errors.Join(err, failed)
}
