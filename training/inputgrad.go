package training

import (
	"slices"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// InputGradient computes gradients of a trained model's logits with respect to its input. The norms use their running
// statistics, as in inference; temperature and calibration are not part of the network. It is used by one goroutine.
type InputGradient struct {
	net  *Network
	pass *Pass
}

// NewInputGradient returns an InputGradient of m. Weights that do not fit its network give an error wrapping
// polynet.ErrWeights.
func NewInputGradient(m *polynet.Model, dev device.Trainer) (*InputGradient, error) {
	n, err := trained(m, dev, true)
	if err != nil {
		return nil, err
	}
	g := &InputGradient{n, NewPass(n, nil)}
	g.pass.frozen = true
	return g, nil
}

// Close gives the memory back to the device.
func (g *InputGradient) Close() {
	g.pass.Close()
	g.net.close()
}

// Logits returns the logits (batch, classes) of batch clips of equal length. rows are their normalised features (batch,
// frames, mels).
func (g *InputGradient) Logits(rows []float32, batch int) []float32 {
	logits := g.forward(rows, batch)
	return download(g.net.dev, logits.Data.Slice(0, logits.Count()*logits.Cols))
}

// Gradient returns the gradient of Σ weights[c]·logits[c] of one clip with respect to rows, its normalised features
// (frames, mels). weights has one value for each class.
func (g *InputGradient) Gradient(rows, weights []float32) []float32 {
	dlogits := g.forward(rows, 1)
	dev := g.net.dev
	dev.Upload(dlogits.Data.Slice(0, len(weights)), weights)
	dx := g.net.backward(g.pass, Activation{View: dlogits}, true)
	return slices.Clip(download(dev, dx.Data))[:len(rows)]
}

func (g *InputGradient) forward(rows []float32, batch int) device.View {
	return g.net.Forward(g.pass, g.pass.Input(rows, batch, len(rows)/(batch*g.net.program.Inputs)))
}
