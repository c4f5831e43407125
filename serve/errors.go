package serve

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/polynet"
)

// statusOf returns the HTTP status of an error, and its kind for the metrics.
func statusOf(err error) (status int, reason string) {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, "body"
	}
	for _, c := range []struct {
		is     error
		status int
		reason string
	}{
		{ErrRequest, http.StatusBadRequest, "request"},
		{io.ErrUnexpectedEOF, http.StatusBadRequest, "request"},
		{polynet.ErrConfig, http.StatusBadRequest, "request"},
		{polyphon.ErrUncalibrated, http.StatusBadRequest, "request"},
		{errToken, http.StatusUnauthorized, "token"},
		{errForbidden, http.StatusForbidden, "forbidden"},
		{errMisdirected, http.StatusMisdirectedRequest, "host"},
		{errRate, http.StatusTooManyRequests, "rate"},
		{ErrModel, http.StatusNotFound, "model"},
		{os.ErrDeadlineExceeded, http.StatusRequestTimeout, "timeout"},
		{audio.ErrTooLong, http.StatusRequestEntityTooLarge, "duration"},
		{audio.ErrFormat, http.StatusUnsupportedMediaType, "format"},
		{audio.ErrCorrupt, http.StatusUnprocessableEntity, "damaged"},
		{audio.ErrEmpty, http.StatusUnprocessableEntity, "empty"},
		{polyphon.ErrDiverged, http.StatusUnprocessableEntity, "diverged"},
		{errBusy, http.StatusServiceUnavailable, "busy"},
		{ErrFull, http.StatusServiceUnavailable, "full"},
		{ErrClosing, http.StatusServiceUnavailable, "closing"},
	} {
		if errors.Is(err, c.is) {
			return c.status, c.reason
		}
	}
	return http.StatusInternalServerError, "internal"
}

// refuse answers with an error.
func (s *Server) refuse(w http.ResponseWriter, err error) {
	status, reason := statusOf(err)
	s.metrics.refused.WithLabelValues(reason).Inc()
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case http.StatusInternalServerError:
		s.log.Error("a request failed", "error", err)
	}
	writeJSON(w, status, map[string]string{"error": err.Error()})
}

// writeJSON answers with a value. An error of writing is the client's.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v)
}
