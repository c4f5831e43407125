package polynet

import (
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/features"
)

// Labels that are not words; see package detect.
const (
	UnknownLabel = detect.UnknownLabel
	SilenceLabel = detect.SilenceLabel
)

// Model is a trained network with everything needed to use it. It is read-only once loaded and may be shared.
type Model struct {
	Features    features.Config
	Norm        features.Norm // of each mel, from the training set
	Window      float64       // seconds of sound that one decision was trained on
	Net         Config
	Labels      []string // by class index
	Temperature float64  // divides the logits before the softmax
	Provenance  Provenance
	Detection   *detect.Config // when probabilities over time become an event; nil: see DetectionConfig
	// Weights by name, float32:
	//
	//	stem.conv.weight                    (Kernel, Inputs, Width)
	//	stages.I.J.conv1.weight, .conv2.weight  (Kernel, in, Width), block J of stage I
	//	stages.I.J.skip.conv.weight         (1, in, Width), where a residual block changes width or has a stride
	//	stages.I.J.product.conv.weight      (1, Width, Width), of products that are mixed by a conv1x1
	//	stages.I.J.product.scale            (1), the factor a of products
	//	head.weight (Width, Classes), head.bias (Classes)
	//
	// of ccp, ncp and ncp-skip
	//
	//	stages.I.J.convN.weight             (Kernel, in, Width), the factor of degree N from 1 on
	//	stages.I.J.scaleN                   (1), ccp from 2 on: the factor a
	//	stages.I.J.nestN.conv.weight        (1, Width, Width), S of ncp and ncp-skip from 2 on
	//	stages.I.J.skipN.conv.weight        (1, Width, Width), V of ncp-skip from 2 on
	//	stages.I.J.out.conv.weight          (1, Width, Width), C
	//
	// and for each convolution X.conv or X.convN a batch norm X.norm or X.normN, and pi's product.norm: weight, bias,
	// running_mean and running_var, (Width) each: stem.norm.weight, stages.0.0.norm1.bias, ...
	Weights Weights
}

// DetectionConfig returns the operating point for finding events in a stream: the model's own, or where it states none
// the default for its window.
func (m *Model) DetectionConfig() detect.Config {
	if m.Detection != nil {
		return *m.Detection
	}
	return detect.Default(m.Window)
}

// Provenance says where a model's weights come from.
type Provenance struct {
	Command    string             `json:"command,omitempty"` // the command line that trained it
	Data       string             `json:"data,omitempty"`    // digest of the training data
	Seed       int64              `json:"seed"`
	Commit     string             `json:"commit,omitempty"` // of the polyphon that trained it
	Epochs     int                `json:"epochs,omitempty"`
	BestEpoch  int                `json:"best_epoch,omitempty"`
	Created    string             `json:"created,omitempty"` // RFC 3339
	Metrics    map[string]float64 `json:"metrics,omitempty"` // accuracies in percent, ...
	Parameters int                `json:"parameters,omitempty"`
}
