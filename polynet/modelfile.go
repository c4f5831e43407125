package polynet

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/polyphon/polyphon/internal/foreign"
)

// A model file is in the safetensors format (https://huggingface.co/docs/safetensors): the header's length (8 bytes,
// little-endian), the header in JSON, then the tensors' values without gaps. The header names each tensor's type, shape
// and place. The type is F32, but of narrow weights I8, or, where they are ternary, U8: five in a byte, the one before
// times 3, as 1 + the weight, and 0 after the last one. "__metadata__" carries the rest of the Model, a JSON text each:
//
//	format       "polyphon/1", not quoted, or "polyphon/2" where weights are narrow, which earlier programs refuse
//	features     features.Config
//	norm         features.Norm
//	window       seconds
//	net          Config
//	labels       list of strings, by class index
//	temperature  number
//	provenance   Provenance
//	detection    detect.Config; may be missing
//	calibration  confidence.Calibration; may be missing
//
// Nothing in the header may be there twice, and nothing may follow a JSON value: what programs make of that differs.
const (
	modelFormat  = "polyphon/1"
	narrowFormat = "polyphon/2"
	metadataKey  = "__metadata__"

	// What a header takes in memory is a multiple of its length: 20 times for tensors, 30 for lists in the metadata.
	maxHeader     = 4 << 20 // bytes; the format allows 100 MB, a network of 256 blocks needs 0.4 MB
	maxText       = 1 << 20 // bytes of one text of the metadata
	maxDimensions = 8       // of a tensor
	maxTensors    = 1 << 15 // with PyTorch's counts of steps: more than maxSteps steps have
)

// tensorEntry is what a safetensors header says about one tensor.
type tensorEntry struct {
	Type    string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"` // first byte and the one after the last, from the end of the header
}

// Load reads the model file at path. What is wrong with the file's content comes as an error that wraps ErrModel.
func Load(path string) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	defer f.Close()
	m, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Read reads a model file, which may be compressed by gzip, to its end and validates the model. It holds at most 64 MB
// more than r has delivered, unpacked, whatever the header claims, and refuses what is beyond the limits of
// docs/models.md. Errors wrap ErrModel.
func Read(r io.Reader) (*Model, error) {
	in, err := unpack(bufio.NewReaderSize(r, 1<<16))
	if err != nil {
		return nil, err
	}
	metadata, entries, err := readHeader(in)
	if err != nil {
		return nil, err
	}
	m, err := parseMetadata(metadata)
	if err != nil {
		return nil, err
	}
	narrow := map[string]Weight{}
	for _, w := range m.Net.Program().Weights {
		if w.Precision != Float32 {
			narrow[w.Name] = w
		}
	}
	if m.Weights, err = readTensors(in, entries, narrow); err != nil {
		return nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m, nil
}

// readHeader returns a header's metadata and what it says about the tensors.
func readHeader(in *bufio.Reader) (metadata map[string]string, entries map[string]tensorEntry, err error) {
	start, err := in.Peek(foreign.Start)
	if err != nil && err != io.EOF {
		return nil, nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	if len(start) < 8 || binary.LittleEndian.Uint64(start) > maxHeader {
		return nil, nil, fmt.Errorf("%w: %s, not a safetensors file", ErrModel, foreign.Kind(start))
	}
	size := int64(binary.LittleEndian.Uint64(start))
	in.Discard(8)
	var header bytes.Buffer
	if n, err := io.CopyN(&header, in, size); err != nil {
		return nil, nil, fmt.Errorf("%w: the file ends after %d of the header's %d bytes: %w",
			ErrModel, n, size, noEOF(err))
	}
	metadata, entries, err = parseHeader(header.Bytes())
	if err != nil {
		return nil, nil, fmt.Errorf("%w: not a safetensors file: header: %w", ErrModel, err)
	}
	return metadata, entries, nil
}

func parseHeader(text []byte) (metadata map[string]string, entries map[string]tensorEntry, err error) {
	if err := uniqueKeys(text); err != nil {
		return nil, nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, nil, fmt.Errorf("it is no JSON object: %v", err)
	}
	for entries = map[string]tensorEntry{}; d.More(); {
		token, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		name := token.(string)
		if name == metadataKey {
			if err := d.Decode(&metadata); err != nil {
				return nil, nil, fmt.Errorf("metadata: %w", err)
			}
			continue
		}
		var e tensorEntry
		if err := d.Decode(&e); err != nil {
			return nil, nil, fmt.Errorf("tensor %.80q: %w", name, err)
		}
		if len(e.Shape) > maxDimensions {
			return nil, nil, fmt.Errorf("tensor %.80q has %d dimensions", name, len(e.Shape))
		}
		if entries[name] = e; len(entries) > maxTensors {
			return nil, nil, fmt.Errorf("more than %d tensors", maxTensors)
		}
	}
	return metadata, entries, nil
}

// parseMetadata returns the model without its weights, its configurations valid.
func parseMetadata(metadata map[string]string) (*Model, error) {
	switch format, ok := metadata["format"]; {
	case !ok:
		return nil, fmt.Errorf("%w: a safetensors file of another program: its metadata names no format", ErrModel)
	case format == stateDictFormat:
		return nil, fmt.Errorf("%w: the weights of a PyTorch network; train import makes a model of them", ErrModel)
	}
	m := new(Model)
	if err := m.SetMetadata(metadata); err != nil {
		return nil, err
	}
	for _, f := range m.metadataFields() {
		if _, ok := metadata[f.name]; !ok && !f.optional {
			return nil, fmt.Errorf("%w: metadata: no %s", ErrModel, f.name)
		}
	}
	if want := m.format(); metadata["format"] != want {
		return nil, fmt.Errorf("%w: a file of format %s with the weights of %s", ErrModel, metadata["format"], want)
	}
	return m, m.validateConfig()
}

// noEOF turns an end of file in the middle of something into io.ErrUnexpectedEOF.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Write writes m as a model file; the same model gives the same bytes. It returns an error that wraps ErrModel, and
// writes nothing, when m is not valid.
func (m *Model) Write(w io.Writer) error {
	if err := m.Validate(); err != nil {
		return err
	}
	shapes := m.Net.Program().Weights
	header, err := m.header(shapes)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], uint64(len(header)))
	out.Write(word[:]) // errors stick to out and come with Flush
	out.Write(header)
	for _, s := range shapes {
		switch values := m.Weights[s.Name].Data().(type) {
		case []float32:
			for _, v := range values {
				binary.LittleEndian.PutUint32(word[:4], math.Float32bits(v))
				out.Write(word[:4])
			}
		case []int8:
			if s.Precision == Ternary {
				out.Write(packTernary(values))
				continue
			}
			for _, v := range values {
				out.WriteByte(byte(v))
			}
		}
	}
	return out.Flush()
}

// header returns the JSON text of a file's header, with spaces after it so that the tensors start at a multiple of 8.
func (m *Model) header(shapes []Weight) ([]byte, error) {
	metadata, err := m.Metadata()
	if err != nil {
		return nil, err
	}
	fields := map[string]any{metadataKey: metadata}
	var end int64
	for _, s := range shapes {
		start, kind, shape := end, fileTypes[s.Precision], s.Shape
		if s.Precision == Ternary {
			shape = []int{int(packedSize(s.Len()))}
			end += int64(shape[0])
		} else {
			end += kind.size * s.Len()
		}
		fields[s.Name] = tensorEntry{Type: kind.name, Shape: shape, Offsets: [2]int64{start, end}}
	}
	header, err := json.Marshal(fields) // in the order of the names
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrModel, err)
	}
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	if len(header) > maxHeader {
		return nil, fmt.Errorf("%w: its header would have %d bytes, at most %d are allowed",
			ErrModel, len(header), maxHeader)
	}
	return header, nil
}

// format returns the format of m's file.
func (m *Model) format() string {
	if m.Net.Narrow != nil {
		return narrowFormat
	}
	return modelFormat
}

// Metadata returns what a model file says of m besides its weights: texts by name, in JSON but for the format.
func (m *Model) Metadata() (map[string]string, error) {
	metadata := map[string]string{"format": m.format()}
	for _, f := range m.metadataFields() {
		text, err := json.Marshal(f.value)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrModel, f.name, err)
		}
		if f.optional && string(text) == "null" {
			continue
		}
		if len(text) > maxText {
			return nil, fmt.Errorf("%w: %s would have %d bytes, at most %d are possible", ErrModel, f.name, len(text), maxText)
		}
		metadata[f.name] = string(text)
	}
	return metadata, nil
}

// SetMetadata sets the parts of m that metadata names as Metadata does, and leaves the others and m's weights. Names
// without a meaning for a model are passed over. Errors wrap ErrModel; the parts are not compared with one another.
func (m *Model) SetMetadata(metadata map[string]string) error {
	format, stated := metadata["format"]
	if stated && format != modelFormat && format != narrowFormat && format != stateDictFormat {
		return fmt.Errorf("%w: its format is %.40q, this program reads %q and %q",
			ErrModel, format, modelFormat, narrowFormat)
	}
	for _, f := range m.metadataFields() {
		text, ok := metadata[f.name]
		if !ok {
			continue
		}
		if len(text) > maxText {
			return fmt.Errorf("%w: metadata: %s has %d bytes, at most %d are possible", ErrModel, f.name, len(text), maxText)
		}
		if err := strictJSON([]byte(text), f.value); err != nil {
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
		{name: "calibration", value: &m.Calibration, optional: true},
	}
}
