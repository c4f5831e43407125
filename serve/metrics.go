package serve

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics reports.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec   // by path, method and status
	seconds   *prometheus.HistogramVec // of requests, by path
	sound     *prometheus.CounterVec   // seconds, by model and kind
	computing *prometheus.CounterVec   // seconds, by model
	events    *prometheus.CounterVec   // by model and label
	refused   *prometheus.CounterVec   // requests and streams, by reason
	dropped   *prometheus.CounterVec   // streams, by model
	delay     prometheus.Histogram     // of live sound
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "polyphon", Name: name, Help: help}, labels)
}

// register makes the metrics of a server.
func (m *metrics) register(s *Server) {
	m.requests = counters("requests_total", "Requests that were answered.", "path", "method", "status")
	m.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "polyphon", Name: "request_seconds", Help: "How long requests took, live streams apart.",
		Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 3, 10, 30},
	}, []string{"path"})
	m.sound = counters("sound_seconds_total", "Seconds of sound that were classified.", "model", "kind")
	m.computing = counters("computing_seconds_total",
		"Seconds in which a core computed; divided by those of sound, the real-time factor.", "model")
	m.events = counters("events_total", "Events of live streams.", "model", "label")
	m.refused = counters("refusals_total", "Requests and streams that were refused.", "reason")
	m.dropped = counters("streams_dropped_total", "Live streams that were dropped for their lag.", "model")
	m.delay = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "polyphon", Name: "stream_delay_seconds", Help: "From the arrival of live sound until it was computed.",
		Buckets: []float64{.01, .02, .05, .1, .2, .3, .5, 1, 2, 5, 10},
	})
	streams := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "polyphon", Name: "streams", Help: "Live streams.",
	}, func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return float64(len(s.sessions))
	})
	m.registry = prometheus.NewRegistry()
	m.registry.MustRegister(m.requests, m.seconds, m.sound, m.computing, m.events, m.refused, m.dropped, m.delay,
		streams, &stateCollector{s}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// stateCollector reports the state of the streams and, of models that are calibrated for it, the drift.
type stateCollector struct{ server *Server }

var (
	driftDesc = prometheus.NewDesc("polyphon_drift",
		"1 while the sounds are not like those that the model was calibrated on, else 0.", []string{"model"}, nil)
	driftsDesc = prometheus.NewDesc("polyphon_drifts_total", "Drifts that began since the model was loaded.",
		[]string{"model"}, nil)
	lagDesc = prometheus.NewDesc("polyphon_stream_lag_seconds_max",
		"By how many seconds the stream with the greatest lag is behind its sound.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(out chan<- *prometheus.Desc) {
	out <- driftDesc
	out <- driftsDesc
	out <- lagDesc
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(out chan<- prometheus.Metric) {
	c.server.mu.Lock()
	models, greatest := c.server.models, 0.0
	var sessions []*Session
	for s := range c.server.sessions {
		sessions = append(sessions, s)
	}
	c.server.mu.Unlock()
	for _, s := range sessions {
		greatest = max(greatest, s.lagNow())
	}
	out <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, greatest)
	for _, m := range models {
		if m.drift == nil {
			continue
		}
		state, drifted := m.drift.State(), 0.0
		if state.Drifted {
			drifted = 1
		}
		out <- prometheus.MustNewConstMetric(driftDesc, prometheus.GaugeValue, drifted, m.name)
		out <- prometheus.MustNewConstMetric(driftsDesc, prometheus.CounterValue, float64(state.Drifts), m.name)
	}
}
