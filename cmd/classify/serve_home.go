package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/serve"
	"github.com/polyphon/polyphon/serve/mqtt"
	"github.com/polyphon/polyphon/serve/wyoming"
)

// home is what ties the service to home automation. Its fields are nil where flags ask for nothing.
type home struct {
	log       *slog.Logger
	service   atomic.Pointer[serve.Server]
	publisher *mqtt.Publisher
	wyoming   *wyoming.Server
}

// publish begins to publish events to the broker of a URL, and has the service that config is for report them.
func (h *home) publish(url string, config *serve.Config) (err error) {
	if url == "" {
		return nil
	}
	h.publisher, err = mqtt.Start(mqtt.Config{URL: url, Models: h.mqttModels, Version: program.Version(), Logger: h.log})
	if err != nil {
		return fmt.Errorf("--mqtt: %w", err)
	}
	config.OnEvent = func(model, source string, e *serve.Event) {
		h.publisher.Publish(mqtt.Event{
			Type: e.Label, Model: model, P: e.P, Time: e.Time, Start: e.Start, End: e.End, Clock: e.Clock, Source: source,
		})
	}
	return nil
}

// mqttModels returns the models of the service; none before there is one.
func (h *home) mqttModels() (list []mqtt.Model) {
	if service := h.service.Load(); service != nil {
		for _, m := range service.Models().Models {
			list = append(list, mqtt.Model{Name: m.Name, Words: m.Words})
		}
	}
	return list
}

// begin begins to serve wake words at an address, and announces the models to the broker.
func (h *home) begin(address string, service *serve.Server) error {
	h.service.Store(service)
	h.reloaded()
	if address == "" {
		return nil
	}
	host, ok := strings.CutPrefix(address, "tcp://")
	if !ok {
		return program.WithStatus(program.StatusUsage, fmt.Errorf("--wyoming %s: expected tcp://HOST:PORT", address))
	}
	listener, err := net.Listen("tcp", host)
	if err != nil {
		return fmt.Errorf("--wyoming: %w", err)
	}
	h.wyoming = wyoming.New(wakeWords{service}, wyoming.Options{Logger: h.log})
	h.log.Info("listening", "url", "tcp://"+listener.Addr().String(), "protocol", "wyoming")
	go h.wyoming.Serve(listener)
	return nil
}

// reloaded announces the models that there are now.
func (h *home) reloaded() {
	if h.publisher != nil {
		h.publisher.Changed()
	}
}

// endWyoming answers the clients that there are, and ends their connections.
func (h *home) endWyoming(ctx context.Context) error {
	if h.wyoming == nil {
		return nil
	}
	return h.wyoming.Close(ctx)
}

// close ends everything, and publishes what is left.
func (h *home) close(ctx context.Context) error {
	err := h.endWyoming(ctx)
	if h.publisher != nil {
		err = errors.Join(err, h.publisher.Close(ctx))
	}
	return err
}

// wakeWords is a service as a backend of the Wyoming protocol.
type wakeWords struct{ service *serve.Server }

// Models implements wyoming.Backend.
func (w wakeWords) Models() (list []wyoming.Model) {
	for _, m := range w.service.Models().Models {
		list = append(list, wyoming.Model{Name: m.Name, Words: m.Words})
	}
	return list
}

// Open implements wyoming.Backend.
func (w wakeWords) Open(ctx context.Context, model string, f audio.Format, source string) (wyoming.Stream, error) {
	session, err := w.service.Listen(ctx, serve.Hello{
		Model: model, Rate: f.Rate, Channels: f.Channels, Encoding: f.Encoding, Source: source,
	})
	if err != nil {
		return nil, err
	}
	return wakeStream{session}, nil
}

// wakeStream is a live stream of the service.
type wakeStream struct{ *serve.Session }

// Next implements wyoming.Stream.
func (s wakeStream) Next() (wyoming.Detection, error) {
	for m := range s.Messages() {
		switch m := m.(type) {
		case *serve.Event:
			return wyoming.Detection{Word: m.Label, Time: m.Time}, nil
		case *serve.Error:
			return wyoming.Detection{}, m
		}
	}
	return wyoming.Detection{}, io.EOF
}
