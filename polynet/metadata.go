package polynet

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Metadata returns what a model file says of m besides its weights: texts by name, in JSON but for the format.
func (m *Model) Metadata() (map[string]string, error) {
	metadata := map[string]string{"format": modelFormat}
	for _, f := range m.metadataFields() {
		text, err := json.Marshal(f.value)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrModel, f.name, err)
		}
		if f.optional && string(text) == "null" {
			continue
		}
		metadata[f.name] = string(text)
	}
	return metadata, nil
}

// SetMetadata sets the parts of m that metadata names as Metadata does, and leaves the others and m's weights. Names
// without a meaning for a model are passed over. Errors wrap ErrModel; the parts are not compared with one another.
func (m *Model) SetMetadata(metadata map[string]string) error {
	format, stated := metadata["format"]
	if stated && format != modelFormat && format != stateDictFormat {
		return fmt.Errorf("%w: its format is %.40q, this program reads %q", ErrModel, format, modelFormat)
	}
	for _, f := range m.metadataFields() {
		text, ok := metadata[f.name]
		if !ok {
			continue
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields() // one would change what the model computes
		if err := d.Decode(f.value); err != nil {
			return fmt.Errorf("%w: metadata: %s: %w", ErrModel, f.name, err)
		}
	}
	return nil
}

// metadataField pairs a name in the metadata with where its value is in a Model.
type metadataField struct {
	name     string
	value    any
	optional bool
}

func (m *Model) metadataFields() []metadataField {
	return []metadataField{
		{name: "features", value: &m.Features}, {name: "norm", value: &m.Norm}, {name: "window", value: &m.Window},
		{name: "net", value: &m.Net}, {name: "labels", value: &m.Labels}, {name: "temperature", value: &m.Temperature},
		{name: "provenance", value: &m.Provenance}, {name: "detection", value: &m.Detection, optional: true},
	}
}
