package serve

import (
	"encoding/json"
	"errors"
	"net/http"
)

// routes returns the handler of all requests.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /v1/models", s.listModels)
	mux.HandleFunc("GET /v1/listen", s.listenWebSocket)
	mux.Handle("GET /metrics", s.metrics.handler())
	if s.config.Page != nil {
		mux.Handle("GET /", s.config.Page)
	}
	return mux
}

// health answers 200 while new work is taken.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	closing := s.closing
	s.mu.Unlock()
	if closing {
		s.refuse(w, ErrClosing)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.Models())
}

// writeJSON answers with a value. An error of writing is the client's.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v)
}

// refuse answers with an error.
func (s *Server) refuse(w http.ResponseWriter, err error) {
	status, reason := statusOf(err)
	s.metrics.refused.WithLabelValues(reason).Inc()
	writeJSON(w, status, map[string]string{"error": err.Error()})
}

// statusOf returns the HTTP status of an error, and its kind.
func statusOf(err error) (status int, reason string) {
	switch {
	case errors.Is(err, ErrRequest):
		return http.StatusBadRequest, "request"
	case errors.Is(err, ErrModel):
		return http.StatusNotFound, "model"
	case errors.Is(err, ErrFull):
		return http.StatusServiceUnavailable, "full"
	case errors.Is(err, ErrClosing):
		return http.StatusServiceUnavailable, "closing"
	}
	return http.StatusInternalServerError, "internal"
}
