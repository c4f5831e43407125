package polynet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// strictJSON decodes text into v. It is an error if text is not one JSON value and nothing else, or names a field
// twice, which other readers resolve in other ways, or one that v does not have, which would change the meaning.
func strictJSON(text []byte, v any) error {
	if err := uniqueKeys(text); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// maxDepth bounds the nesting of JSON values: twice what a model file has.
const maxDepth = 8

// uniqueKeys returns an error unless text is one JSON value whose objects name each key once.
func uniqueKeys(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := checkKeys(d, "", 0); err != nil {
		return noEOF(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more after the JSON value")
	}
	return nil
}

// checkKeys reads the value of the given key. Keys that differ in case only count as the same, since package json takes
// them for the same field, except for those of thresholds, which are labels.
func checkKeys(d *json.Decoder, key string, depth int) error {
	start, err := d.Token()
	if err != nil {
		return err
	}
	open, _ := start.(json.Delim)
	if depth > maxDepth {
		return fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	seen := map[string]bool{}
	for open != 0 && d.More() {
		name := ""
		if open == '{' {
			token, err := d.Token()
			if err != nil {
				return err
			}
			name = token.(string)
			folded := name
			if key != "thresholds" {
				folded = strings.ToLower(name)
			}
			if seen[folded] {
				return fmt.Errorf("%.40q is there twice", name)
			}
			seen[folded] = true
		}
		if err := checkKeys(d, name, depth+1); err != nil {
			return err
		}
	}
	if open != 0 {
		_, err = d.Token()
	}
	return err
}
