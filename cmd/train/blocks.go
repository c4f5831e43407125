package main

import (
	"fmt"
	"strings"

	"github.com/polyphon/polyphon/polynet"
)

// kinds says in a line what each kind of blocks computes; polynet.BlockKind says all of it.
var kinds = []struct {
	kind polynet.BlockKind
	says string
}{
	{polynet.Linear, "F + S: no product, to compare with"},
	{polynet.ReLU, "max(F + S, 0): a residual network"},
	{polynet.Pi, "F + S + a BN(F*S): PiNet"},
	{polynet.PiReLU, "pi with activations"},
	{polynet.Pi1x1, "F + S + a BN(conv1x1(F*S)): PiNet-1x1"},
	{polynet.Pi1x1ReLU, "pi1x1 with activations"},
	{polynet.PiTanh, "F + S + a BN(conv1x1(tanh(F*S))): a bounded product"},
	{polynet.CCP, "coupled decomposition: x = U z * x + x, --degree times"},
	{polynet.NCP, "nested decomposition: x = A z * (S x + b), --degree times"},
	{polynet.NCPSkip, "nested decomposition with skips: x = A z * (S x + b) + V x"},
	{polynet.RPoly, "R-PolyNet: pi1x1, instance norms, max-pooling, DropBlock"},
	{polynet.DPoly, "D-PolyNet: rpoly whose products take in earlier blocks' ones"},
}

// defaultDegree is that of blocks which have one to choose.
const defaultDegree = 3

// Help is what `train fit --help` says of the blocks.
func (*fitCmd) Help() string {
	var text strings.Builder
	text.WriteString("The kinds of blocks. F is a branch of two convolutions and S the block's input, * a product of each value:\n\n")
	for _, k := range kinds {
		fmt.Fprintf(&text, "    %-11s %s\n", k.kind, k.says)
	}
	text.WriteString("\nAll but relu, the -relu kinds, pi-tanh, rpoly and dpoly are polynomials of the features; train info tells the degree. " +
		"rpoly and dpoly hear whole windows: they do not work on streams.\n")
	return text.String()
}
