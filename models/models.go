// Package models embeds the models that work out of the box. A program that names one of them does not carry the
// others.
package models

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/polynet"
)

var (
	//go:embed base.safetensors
	base string
	//go:embed small.safetensors
	small string
	//go:embed tiny.safetensors.gz
	tiny string
)

// Base returns the default model, the more accurate one.
func Base() *polynet.Model { return read(base) }

// Small returns the model of at most 100,000 parameters. It has the labels of Base.
func Small() *polynet.Model { return read(small) }

// Tiny returns the model whose file is the smallest, of less than 40 kB: its weights are -1, 0 and 1. It has the labels
// of Base.
func Tiny() *polynet.Model { return read(tiny) }

func read(file string) *polynet.Model {
	m, err := polynet.Read(strings.NewReader(file))
	if err != nil {
		panic(err) // tests read every embedded file
	}
	return m
}

// Open returns the embedded model of that name, "base" (also for an empty name), "small" or "tiny", or else the model
// in the file at that path, for which errors wrap polynet.ErrModel. A program that calls Open carries all of them.
func Open(name string) (*polynet.Model, error) {
	switch name {
	case "", "base":
		return Base(), nil
	case "small":
		return Small(), nil
	case "tiny":
		return Tiny(), nil
	}
	m, err := polynet.Load(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; the embedded models are base, small and tiny", err)
	}
	return m, err
}

// Names are the names of the embedded models, the default first.
var Names = []string{"base", "small", "tiny"}

// Embedded reports whether Open takes the name for an embedded model's.
func Embedded(name string) bool { return name == "" || slices.Contains(Names, name) }
