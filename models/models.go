// Package models carries the models that work out of the box.
package models

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/polyphon/polyphon/polynet"
)

// The names of the embedded models, which know the same words.
const (
	Base  = "base"  // the default: the more accurate one
	Small = "small" // at most 100,000 parameters
)

var (
	//go:embed base.safetensors
	base []byte
	//go:embed small.safetensors
	small []byte
)

// Default returns the embedded model Base.
func Default() (*polynet.Model, error) { return Open(Base) }

// Open returns the embedded model of that name, Base where it is empty, or the model in the file at that path. A file that cannot
// be used gives an error that wraps polynet.ErrModel.
func Open(name string) (*polynet.Model, error) {
	if file := embedded(name); file != nil {
		return polynet.Read(bytes.NewReader(file))
	}
	m, err := polynet.Load(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; the embedded models are %s and %s", err, Base, Small)
	}
	return m, err
}

// Embedded reports whether Open takes the name for an embedded model's.
func Embedded(name string) bool { return embedded(name) != nil }

// embedded returns the embedded model's file, or nil.
func embedded(name string) []byte {
	switch name {
	case "", Base:
		return base
	case Small:
		return small
	}
	return nil
}
