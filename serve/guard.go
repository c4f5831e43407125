package serve

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/httprate"
)

// guard lets requests through that are allowed, and notes what becomes of them.
func (s *Server) guard(mux *http.ServeMux) (http.Handler, error) {
	crossOrigin := http.NewCrossOriginProtection()
	for _, origin := range s.config.Origins {
		if err := crossOrigin.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	limited := http.Handler(mux)
	if s.config.Limits.Rate > 0 {
		limited = httprate.LimitBy(s.config.Limits.Rate, time.Minute, address, httprate.WithLimitHandler(
			func(w http.ResponseWriter, _ *http.Request) { s.refuse(w, errRate) }))(mux)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.enterRequest() {
			s.refuse(w, ErrClosing)
			return
		}
		defer s.requests.Done()
		begun, path := time.Now(), pathOf(mux, r)
		noted := &notedWriter{ResponseWriter: w}
		defer func() { s.note(noted, r, path, begun) }()
		switch err := crossOrigin.Check(r); {
		case !s.isAddressed(r):
			s.refuse(noted, fmt.Errorf("%w: the service is not named %q", errMisdirected, r.Host))
		case err != nil:
			s.refuse(noted, fmt.Errorf("%w: %w", errForbidden, err))
		case isPublic(r):
			mux.ServeHTTP(noted, r)
		case !s.hasToken(r):
			s.refuse(noted, errToken)
		default:
			limited.ServeHTTP(noted, r)
		}
	}), nil
}

// enterRequest counts a request that is to be answered.
func (s *Server) enterRequest() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.requests.Add(1)
	return true
}

// isPublic reports whether a request needs no token and has no rate: the page, and what asks whether the service works.
func isPublic(r *http.Request) bool {
	path := r.URL.Path
	return path == "/healthz" || strings.HasPrefix(path, "/v2/health/") ||
		!strings.HasPrefix(path, "/v1/") && !strings.HasPrefix(path, "/v2") && path != "/metrics"
}

// isAddressed reports whether a request names the service as its configuration does. A page of another name that
// resolves to this machine must not use a service that has no token.
func (s *Server) isAddressed(r *http.Request) bool {
	if len(s.config.Hosts) == 0 {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return slices.Contains(s.config.Hosts, strings.Trim(host, "[]"))
}

// hasToken reports whether a request has the token, in a header or, since browsers send none with a WebSocket, among
// its subprotocols.
func (s *Server) hasToken(r *http.Request) bool {
	if len(s.config.Token) == 0 {
		return true
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	for _, list := range r.Header.Values("Sec-WebSocket-Protocol") {
		for protocol := range strings.SplitSeq(list, ",") {
			if token, found := strings.CutPrefix(strings.TrimSpace(protocol), "bearer."); found && !ok {
				given, ok = token, true
			}
		}
	}
	have, want := sha256.Sum256([]byte(given)), sha256.Sum256(s.config.Token) // of equal lengths
	return subtle.ConstantTimeCompare(have[:], want[:]) == 1 && ok
}

// tokenSigns are what a token may have besides letters and digits: it has to be one of RFC 9110, section 5.6.2, to be a
// subprotocol.
const tokenSigns = "!#$%&'*+-.^_`|~"

func validToken(token []byte) bool {
	return !bytes.ContainsFunc(token, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune(tokenSigns, r)
	})
}

// address returns the client's address, by which rates are counted.
func address(r *http.Request) (string, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return httprate.CanonicalizeIP(host), nil
}

// pathOf returns the pattern that a request matches, without its method, so that there are few of them.
func pathOf(mux *http.ServeMux, r *http.Request) string {
	_, pattern := mux.Handler(r)
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return path
	}
	return otherPath
}

// otherPath stands for the paths and methods of requests that no pattern matches.
const otherPath = "other"

// note counts and logs a request.
func (s *Server) note(w *notedWriter, r *http.Request, path string, begun time.Time) {
	status := w.status
	if status == 0 {
		status = http.StatusOK
	}
	spent := time.Since(begun)
	method := r.Method
	if path == otherPath {
		method = otherPath // clients may make up any
	}
	s.metrics.requests.WithLabelValues(path, method, strconv.Itoa(status)).Inc()
	if path != "/v1/listen" {
		s.metrics.seconds.WithLabelValues(path).Observe(spent.Seconds())
	}
	s.log.Debug("request", "method", r.Method, "path", r.URL.Path, "status", status, "seconds", spent.Seconds(),
		"client", r.RemoteAddr)
}

// notedWriter notes the status of an answer.
type notedWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *notedWriter) WriteHeader(status int) {
	if w.status == 0 || w.status < 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap returns the writer, for http.ResponseController.
func (w *notedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
