package serve

import (
	"fmt"
	"sync"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/models"
)

// model is a model that is open. It is closed when it has been replaced and nobody uses it any more.
type model struct {
	name       string
	server     *Server
	recognizer *polyphon.Recognizer
	extractor  *features.Extractor
	drift      *polyphon.Drift // nil where the model is not calibrated for that
	streams    pool
	clips      batcher

	mu   sync.Mutex
	uses int
}

// embedded returns the sources of the embedded models.
func embedded() (list []Source) {
	for _, name := range models.Names {
		list = append(list, Source{Name: name, Path: name})
	}
	return list
}

// open opens all models, each with one use: the server's.
func (s *Server) open() (list []*model, err error) {
	defer func() {
		if err != nil {
			for _, m := range list {
				m.release()
			}
			list = nil
		}
	}()
	names := map[string]bool{}
	for _, source := range s.config.Models {
		if names[source.Name] {
			return list, fmt.Errorf("two models are named %q", source.Name)
		}
		names[source.Name] = true
		m, err := s.openModel(source)
		if err != nil {
			return list, fmt.Errorf("model %q: %w", source.Name, err)
		}
		list = append(list, m)
	}
	return list, nil
}

func (s *Server) openModel(source Source) (*model, error) {
	net, err := models.Open(source.Path)
	if err != nil {
		return nil, err
	}
	m := &model{name: source.Name, server: s, uses: 1}
	m.streams.model = m
	if m.extractor, err = features.New(net.Features); err != nil {
		return nil, err
	}
	options := []polyphon.Option{polyphon.WithDevice(s.config.Device), polyphon.WithPool(s.config.Pool)}
	if net.Calibrated().Reference != nil {
		m.drift = new(polyphon.Drift)
		options = append(options, polyphon.WithDrift(m.drift))
	}
	if m.recognizer, err = polyphon.New(net, options...); err != nil {
		return nil, err
	}
	s.opened.Add(1)
	return m, nil
}

// use returns the model of a name, "" being the default, to be given back by release.
func (s *Server) use(name string) (*model, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, ErrClosing
	}
	for _, m := range s.models {
		if name == "" || m.name == name {
			m.retain()
			return m, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrModel, name)
}

func (m *model) retain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uses++
}

// release ends a use. The last one closes the model.
func (m *model) release() {
	m.mu.Lock()
	m.uses--
	last := m.uses == 0
	m.mu.Unlock()
	if !last {
		return
	}
	go func() { // the goroutine of a group may have ended the use
		defer m.server.opened.Done()
		m.streams.close()
		if err := m.recognizer.Close(); err != nil {
			m.server.log.Error("closing a model", "model", m.name, "error", err)
		}
	}()
}

// Models describes what a server offers.
type Models struct {
	Default string      `json:"default"`
	Save    bool        `json:"save"` // POST /v1/clips saves clips
	Models  []ModelInfo `json:"models"`
}

// ModelInfo describes a model. Times are in seconds.
type ModelInfo struct {
	Name        string    `json:"name"`
	Labels      []string  `json:"labels"`
	Words       []string  `json:"words"` // of the labels, those that can be events
	Window      float64   `json:"window"`
	Rate        int       `json:"rate"` // hertz
	Mels        int       `json:"mels"`
	Hop         float64   `json:"hop"` // from one row of features to the next
	DecisionHop float64   `json:"decision_hop"`
	Lookahead   float64   `json:"lookahead"`
	Threshold   float64   `json:"threshold"`
	Release     float64   `json:"release"` // part of the threshold
	Calibrated  bool      `json:"calibrated"`
	Coverage    []float64 `json:"coverage,omitempty"` // shares that sets of labels are possible for, and those in between
}

// Models returns what s offers at the moment.
func (s *Server) Models() Models {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := Models{Models: []ModelInfo{}, Save: s.config.SaveDir != ""}
	for i, m := range s.models {
		if i == 0 {
			list.Default = m.name
		}
		list.Models = append(list.Models, m.info())
	}
	return list
}

func (m *model) info() ModelInfo {
	net := m.recognizer.Model()
	point := net.DetectionConfig()
	info := ModelInfo{
		Name: m.name, Labels: net.Labels, Words: []string{}, Window: net.Window, Rate: net.Features.Rate,
		Mels: net.Features.Mels, Hop: 1 / net.Features.FramesPerSecond(), DecisionHop: m.decisionHop(),
		Lookahead: m.lookahead().Seconds(), Threshold: point.Threshold, Release: point.Release,
		Calibrated: net.Calibration != nil,
	}
	for _, label := range net.Labels {
		if !detect.Background(label) {
			info.Words = append(info.Words, label)
		}
	}
	if net.Calibrated().Sets != nil {
		info.Coverage = confidence.Levels
	}
	return info
}

func (m *model) lookahead() time.Duration {
	net := m.recognizer.Model()
	return net.Net.Lookahead(net.Features)
}

// decisionHop returns the seconds from one decision of live sound to the next.
func (m *model) decisionHop() float64 {
	net := m.recognizer.Model()
	return float64(net.Net.Program().Reach().Stride) / net.Features.FramesPerSecond()
}
