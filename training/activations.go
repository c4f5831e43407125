package training

import (
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// Activations computes all tensors of a trained model's network. Norms use their running statistics, as in inference.
// It is used by one goroutine.
type Activations struct {
	net  *Network
	pass *Pass
}

// NewActivations returns the Activations of m. Weights that do not fit its network give an error wrapping
// polynet.ErrWeights.
func NewActivations(m *polynet.Model, dev device.Trainer) (*Activations, error) {
	n, err := trained(m, dev, false)
	if err != nil {
		return nil, err
	}
	return &Activations{n, NewPass(n, nil)}, nil
}

// Close gives the memory back to the device.
func (a *Activations) Close() {
	a.pass.Close()
	a.net.close()
}

// Run computes the network on batch clips of equal length. rows are their normalised features (batch, frames, mels).
func (a *Activations) Run(rows []float32, batch int) {
	a.net.Forward(a.pass, a.pass.Input(rows, batch, len(rows)/(batch*a.net.program.Inputs)))
}

// Rows returns the rows of a tensor of the latest run, (clips·rows, channels), in new memory. t is one of the model's
// program.
func (a *Activations) Rows(t polynet.Tensor) []float32 {
	return rowsOf(a.net.dev, a.pass.tensors[t].View)
}

// rowsOf returns v's rows one after the other, in new memory.
func rowsOf(dev device.Trainer, v device.View) []float32 {
	all := download(dev, v.Data.Slice(0, v.Extent()))
	rows := make([]float32, 0, v.Count()*v.Cols)
	for g := range v.Groups {
		for r := range v.Rows {
			rows = append(rows, all[g*v.GroupStride+r*v.RowStride:][:v.Cols]...)
		}
	}
	return rows
}
