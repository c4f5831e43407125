package polynet

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/foreign"
	"gorgonia.org/tensor"
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

// Read reads a model file to its end and validates the model. It holds at most 64 MB more than r has delivered,
// whatever the header claims, and refuses what is beyond the limits of docs/models.md. Errors wrap ErrModel.
func Read(r io.Reader) (*Model, error) {
	in := bufio.NewReaderSize(r, 1<<16)
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

// readTensors reads the tensors that a header describes, to the end of the file, and the given narrow ones. Those that
// PyTorch counts training steps in are nil.
func readTensors(
	in *bufio.Reader, entries map[string]tensorEntry, narrow map[string]Weight,
) (map[string]*tensor.Dense, error) {
	names := slices.SortedFunc(maps.Keys(entries), func(a, b string) int {
		x, y := entries[a].Offsets, entries[b].Offsets
		return cmp.Or(slices.Compare(x[:], y[:]), strings.Compare(a, b))
	})
	tensors, begin := make(map[string]*tensor.Dense, len(names)), int64(0)
	for _, name := range names {
		e := entries[name]
		if e.Offsets[0] != begin || e.Offsets[1] < begin {
			return nil, fmt.Errorf("%w: tensor %s lies at bytes %v, not from %d on: gaps and overlaps are not allowed",
				ErrModel, name, e.Offsets, begin)
		}
		t, err := readTensor(in, name, e, narrow[name])
		if err != nil {
			return nil, fmt.Errorf("%w: tensor %s: %w", ErrModel, name, err)
		}
		tensors[name], begin = t, e.Offsets[1]
	}
	switch _, err := in.ReadByte(); {
	case err == nil:
		return nil, fmt.Errorf("%w: bytes after the last tensor", ErrModel)
	case err != io.EOF:
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	return tensors, nil
}

// fileTypes are the types of values in a file, and the bytes that one takes: of ternary ones, five.
var fileTypes = []struct {
	name string
	size int64
}{Float32: {"F32", 4}, Int8: {"I8", 1}, Ternary: {"U8", 1}}

func readTensor(in *bufio.Reader, name string, e tensorEntry, w Weight) (*tensor.Dense, error) {
	size := e.Offsets[1] - e.Offsets[0]
	if strings.HasSuffix(name, countSuffix) {
		if n, err := io.CopyN(io.Discard, in, size); err != nil {
			return nil, fmt.Errorf("the file ends after %d of %d bytes: %w", n, size, noEOF(err))
		}
		return nil, nil
	}
	kind := fileTypes[w.Precision]
	if e.Type != kind.name {
		return nil, fmt.Errorf("type %.20q, want %s", e.Type, kind.name)
	}
	bytes := kind.size
	for _, n := range e.Shape {
		if n < 1 || bytes > size/int64(n) {
			bytes = 0 // more than there are
			break
		}
		bytes *= int64(n)
	}
	if bytes != size || size == 0 {
		return nil, fmt.Errorf("shape %v in %d bytes", e.Shape, size)
	}
	shape, values := e.Shape, any(nil)
	var err error
	switch w.Precision {
	case Int8:
		values, err = readValues(in, size, 1, func(to []int8, from []byte) {
			for i, b := range from {
				to[i] = int8(b)
			}
		})
	case Ternary:
		if shape = w.Shape; size != packedSize(w.Len()) {
			return nil, fmt.Errorf("%d bytes, want %d for %d ternary weights", size, packedSize(w.Len()), w.Len())
		}
		var packed []byte
		packed, err = readValues(in, size, 1, func(to, from []byte) { copy(to, from) })
		if err == nil {
			values, err = unpackTernary(packed, w.Len())
		}
	default:
		values, err = readValues(in, size/4, 4, func(to []float32, from []byte) {
			for i := range to {
				to[i] = math.Float32frombits(binary.LittleEndian.Uint32(from[4*i : 4*i+4]))
			}
		})
	}
	if err != nil {
		return nil, err
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values)), nil
}

// readValues reads n values of so many bytes, which decode makes. Memory grows with what arrives.
func readValues[T any](in *bufio.Reader, n int64, size int, decode func(to []T, from []byte)) ([]T, error) {
	values, bytes := make([]T, 0, min(n, 1<<18)), n*int64(size)
	for left := bytes; left > 0; {
		part, err := in.Peek(int(min(left, int64(in.Size()))))
		if err != nil {
			return nil, fmt.Errorf("the file ends after %d of %d bytes: %w", bytes-left+int64(len(part)), bytes, noEOF(err))
		}
		values = slices.Grow(values, len(part)/size)
		to := values[len(values) : len(values)+len(part)/size]
		decode(to, part)
		values = values[:len(values)+len(to)]
		in.Discard(len(part))
		left -= int64(len(part))
	}
	return values, nil
}

// packedTrits is how many ternary weights share a byte: 3⁵ = 243.
const packedTrits = 5

// packedSize returns the bytes of n ternary weights.
func packedSize(n int64) int64 { return (n + packedTrits - 1) / packedTrits }

// unpackTernary returns n ternary weights.
func unpackTernary(packed []byte, n int64) ([]int8, error) {
	values := make([]int8, n+packedTrits)[:0]
	for i, b := range packed {
		for v, k := int(b), 0; k < packedTrits; k++ {
			values = append(values, int8(v/81)-1)
			v = v % 81 * 3
		}
		if b > 242 {
			return nil, fmt.Errorf("byte %d is %d, five ternary weights are at most 242", i, b)
		}
	}
	for _, v := range values[n:] {
		if v != -1 {
			return nil, fmt.Errorf("there are more than %d weights", n)
		}
	}
	return values[:n:n], nil
}

// packTernary is the inverse of unpackTernary.
func packTernary(values []int8) []byte {
	packed := make([]byte, 0, packedSize(int64(len(values))))
	for part := range slices.Chunk(values, packedTrits) {
		b := byte(0)
		for k := range packedTrits {
			if b *= 3; k < len(part) {
				b += byte(part[k] + 1)
			}
		}
		packed = append(packed, b)
	}
	return packed
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

// Save writes m to path, whole or not at all: a crash leaves what was there before.
func (m *Model) Save(path string) error { return atomicfile.Write(path, m.Write) }

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
