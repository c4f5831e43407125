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
		if err := setMetadata(f.name, text, f.value); err != nil {
			return err
		}
	}
	return nil
}

// setMetadata sets value to what text says. A setting that this program does not know would change what the model
// computes, so it is an error.
func setMetadata(name, text string, value any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(value); err != nil {
		return fmt.Errorf("%w: metadata: %s: %w", ErrModel, name, err)
	}
	return nil
}
