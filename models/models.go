// Package models carries the models that work out of the box.
package models

import (
	"bytes"
	_ "embed"

	"github.com/polyphon/polyphon/polynet"
)

//go:embed base.safetensors
var base []byte

// Default returns the embedded model.
func Default() (*polynet.Model, error) { return polynet.Read(bytes.NewReader(base)) }

// Open returns the model in the file at path, or the embedded one where path is empty. A file that cannot be used gives
// an error that wraps polynet.ErrModel.
func Open(path string) (*polynet.Model, error) {
	if path == "" {
		return Default()
	}
	return polynet.Load(path)
}
