package serve

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
)

// The Open Inference Protocol, version 2 (KServe V2), in its JSON form.

// v2Server describes the server.
func (s *Server) v2Server(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"name": "polyphon", "version": "1", "extensions": []string{}})
}

// v2Live answers 200 as long as anything is answered.
func (s *Server) v2Live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]bool{"live": true})
}

// withModel returns a handler of requests whose path names a model.
func (s *Server) withModel(handle func(w http.ResponseWriter, r *http.Request, m *model)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m, err := s.use(r.PathValue("name"))
		if err != nil {
			s.refuse(w, err)
			return
		}
		defer m.release()
		handle(w, r, m)
	}
}

// v2Ready answers 200 where a model can be used.
func (s *Server) v2Ready(w http.ResponseWriter, _ *http.Request, m *model) {
	writeJSON(w, http.StatusOK, map[string]any{"name": m.name, "ready": true})
}

// tensor is an input or output, with a shape of -1 where any size is possible.
type tensor struct {
	Name       string         `json:"name"`
	Shape      []int          `json:"shape"`
	Datatype   string         `json:"datatype"`
	Parameters map[string]any `json:"parameters,omitempty"`
	Data       []float32      `json:"data,omitzero"`
}

// Names of tensors. A pcm is one sound of any length, at the model's rate or that of the parameter rate, features are
// the log-mel rows of windows, not normalised. One of them is an input.
const (
	pcmTensor           = "pcm"
	featuresTensor      = "features"
	probabilitiesTensor = "probabilities"
)

// v2Model describes a model.
func (s *Server) v2Model(w http.ResponseWriter, _ *http.Request, m *model) {
	frames, mels := m.rows()
	writeJSON(w, http.StatusOK, map[string]any{
		"name": m.name, "platform": "polyphon", "versions": []string{"1"},
		"inputs": []tensor{
			{Name: pcmTensor, Shape: []int{1, -1}, Datatype: "FP32"},
			{Name: featuresTensor, Shape: []int{-1, frames, mels}, Datatype: "FP32"},
		},
		"outputs": []tensor{m.probabilities(-1, nil)},
	})
}

// rows returns the shape of a window's features.
func (m *model) rows() (frames, mels int) {
	net := m.recognizer.Model()
	return net.Features.Frames(net.WindowSamples()), net.Features.Mels
}

func (m *model) probabilities(sounds int, data []float32) tensor {
	labels := m.recognizer.Labels()
	return tensor{
		Name: probabilitiesTensor, Shape: []int{sounds, len(labels)}, Datatype: "FP32",
		Parameters: map[string]any{"labels": labels}, Data: data,
	}
}

// v2Request is a request for inference.
type v2Request struct {
	ID         string         `json:"id"`
	Parameters map[string]any `json:"parameters"`
	Inputs     []tensor       `json:"inputs"`
}

// v2Infer answers for a sound, or for the features of windows.
func (s *Server) v2Infer(w http.ResponseWriter, r *http.Request, m *model) {
	if err := s.admit(); err != nil {
		s.refuse(w, err)
		return
	}
	defer func() { <-s.uploads }()
	var request v2Request
	d := json.NewDecoder(s.bounded(w, r, maxInMemory))
	if err := d.Decode(&request); err != nil {
		s.refuse(w, fmt.Errorf("%w: %w", ErrRequest, err))
		return
	}
	sounds, scores, err := m.infer(&request)
	if err != nil {
		s.refuse(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"model_name": m.name, "model_version": "1", "id": request.ID,
		"outputs": []tensor{m.probabilities(sounds, scores)},
	})
}

// infer returns the probabilities of all labels for each of the sounds of a request.
func (m *model) infer(request *v2Request) (sounds int, data []float32, err error) {
	if len(request.Inputs) != 1 {
		return 0, nil, fmt.Errorf("%w: %d inputs, one is needed", ErrRequest, len(request.Inputs))
	}
	in := &request.Inputs[0]
	if err := in.check(); err != nil {
		return 0, nil, err
	}
	frames, mels := m.rows()
	switch {
	case in.Name == pcmTensor:
		rate, err := rateOf(request, in, m.recognizer.Model().Features.Rate)
		if err != nil {
			return 0, nil, err
		}
		scores, err := m.classify(audio.Clip{Rate: rate, Samples: in.Data})
		return 1, m.inOrder(scores), err
	case in.Name != featuresTensor:
		return 0, nil, fmt.Errorf("%w: an input %q, %s and %s are possible", ErrRequest, in.Name, pcmTensor, featuresTensor)
	case len(in.Data)%(frames*mels) != 0:
		return 0, nil, fmt.Errorf("%w: a shape of %v, (n, %d, %d) is possible", ErrRequest, in.Shape, frames, mels)
	}
	for ; len(in.Data) > 0; in.Data = in.Data[frames*mels:] {
		m.server.compute <- struct{}{}
		scores, err := m.recognizer.ClassifyRows(in.Data[:frames*mels])
		<-m.server.compute
		if err != nil {
			return 0, nil, err
		}
		data = append(data, m.inOrder(scores)...)
		sounds++
	}
	return sounds, data, nil
}

// rateOf returns the rate of a pcm in hertz.
func rateOf(request *v2Request, in *tensor, rate int) (int, error) {
	for _, parameters := range []map[string]any{request.Parameters, in.Parameters} {
		value, ok := parameters["rate"]
		if !ok {
			continue
		}
		given, ok := value.(float64)
		if rate = int(given); !ok || float64(rate) != given {
			return 0, fmt.Errorf("%w: a rate of %v", ErrRequest, value)
		}
	}
	return rate, nil
}

// check returns an error where the data is not what the tensor says.
func (t *tensor) check() error {
	if t.Datatype != "FP32" {
		return fmt.Errorf("%w: the datatype %q, FP32 is possible", ErrRequest, t.Datatype)
	}
	size := 1
	for _, n := range t.Shape {
		if n < 1 || n > len(t.Data) || size > len(t.Data) {
			size = -1
			break
		}
		size *= n
	}
	if size != len(t.Data) || size == 0 {
		return fmt.Errorf("%w: a shape of %v for %d values", ErrRequest, t.Shape, len(t.Data))
	}
	return nil
}

// inOrder returns the probabilities in the order of the labels.
func (m *model) inOrder(scores []polyphon.Score) []float32 {
	byLabel := map[string]float64{}
	for _, s := range scores {
		byLabel[s.Label] = s.P
	}
	p := make([]float32, 0, len(scores))
	for _, label := range m.recognizer.Labels() {
		p = append(p, float32(byLabel[label]))
	}
	return p
}
