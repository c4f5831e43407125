package serve

import (
	_ "embed"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v3"
)

// routes returns the handler of all requests.
func (s *Server) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	for pattern, handler := range s.handlers() {
		mux.HandleFunc(pattern, handler)
	}
	if s.config.Page != nil {
		mux.Handle("GET /", s.config.Page)
	}
	return s.guard(mux)
}

// handlers returns what answers requests, by the patterns of http.ServeMux. openapi.yaml describes them.
func (s *Server) handlers() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /healthz":            s.health,
		"GET /metrics":            s.metrics.handler().ServeHTTP,
		"GET /v1/models":          s.listModels,
		"GET /v1/openapi.json":    s.describe,
		"GET /v1/listen":          s.listenWebSocket,
		"POST /v1/listen":         s.listenEvents,
		"POST /v1/classify":       s.classify,
		"POST /v1/classify:batch": s.classifyBatch,
		"POST /v1/clips":          s.saveClip,

		"GET /v2":                      s.v2Server,
		"GET /v2/health/live":          s.v2Live,
		"GET /v2/health/ready":         s.health,
		"GET /v2/models/{name}":        s.withModel(s.v2Model),
		"GET /v2/models/{name}/ready":  s.withModel(s.v2Ready),
		"POST /v2/models/{name}/infer": s.withModel(s.v2Infer),
	}
}

//go:embed openapi.yaml
var openAPI []byte

// description returns what openAPI says.
var description = sync.OnceValues(func() (d map[string]any, err error) {
	err = yaml.Unmarshal(openAPI, &d)
	return d, err
})

// describe answers with the description of the service in OpenAPI 3.1.
func (s *Server) describe(w http.ResponseWriter, _ *http.Request) {
	description, err := description()
	if err != nil {
		s.refuse(w, err)
		return
	}
	writeJSON(w, http.StatusOK, description)
}

// health answers 200 while new work is taken.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if s.isClosing() {
		s.refuse(w, ErrClosing)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.Models())
}
