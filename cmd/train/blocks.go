package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/polynet"
)

// kinds has a line about each kind of blocks; polynet.BlockKind has their equations.
var kinds = []struct {
	kind polynet.BlockKind
	help string
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
	{polynet.Star, "x + BN(C(A u + A u * B u)), u a depthwise convolution of x: StarNet without its activation"},
	{polynet.Mu, "two layers of MONet: such products, the second factor of a low rank"},
}

// Help returns the part of `train fit --help` about the kinds of blocks.
func (*fitCmd) Help() string {
	var text strings.Builder
	text.WriteString("The kinds of blocks. F is a branch of two convolutions and S the block's input, " +
		"* a product of each value:\n\n")
	for _, k := range kinds {
		fmt.Fprintf(&text, "    %-11s %s\n", k.kind, k.help)
	}
	text.WriteString("\nAll but relu, the -relu kinds and pi-tanh are polynomials of the features; " +
		"train info prints the degree.\n")
	return text.String()
}

// kindFlag is a kind of blocks; "" where none is given.
type kindFlag string

// UnmarshalText sets the kind, or says which there are.
func (k *kindFlag) UnmarshalText(text []byte) error {
	*k = kindFlag(text)
	switch kind := polynet.BlockKind(text); {
	case kind == "": // not given
	case kind.Retired():
		return fmt.Errorf("blocks of the kind %q are retired: polyphon no longer trains or runs them", text)
	case !slices.Contains(polynet.BlockKinds(), kind):
		return fmt.Errorf("%q is none of the kinds %v", text, polynet.BlockKinds())
	}
	return nil
}
