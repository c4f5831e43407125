// Package foreign names files of other kinds than a reader expects, by their first bytes.
package foreign

import (
	"bytes"
	"fmt"
)

// Start is how many bytes of a file Kind looks at, at most.
const Start = 64

var kinds = []struct{ magic, kind string }{
	{"PK\x03\x04", "a ZIP archive (perhaps a PyTorch checkpoint)"},
	{"\x80\x02", "a Python pickle"}, {"\x80\x03", "a Python pickle"},
	{"\x80\x04", "a Python pickle"}, {"\x80\x05", "a Python pickle"},
	{"\x89HDF", "an HDF5 file"}, {"GGUF", "a GGUF file"}, {"\x93NUMPY", "a NumPy array"},
	{"RIFF", "a RIFF file (perhaps a WAV)"}, {"fLaC", "a FLAC file"},
	{"\x1f\x8b", "a gzip file (perhaps not yet unpacked)"},
	{"version https://git-lfs", `a Git LFS pointer ("git lfs pull" fetches the file itself)`},
	{"{", "a text file"},
}

// Known says what a file is that begins with start, the first Start bytes or all of a shorter file, or returns "".
func Known(start []byte) string {
	for _, k := range kinds {
		if bytes.HasPrefix(start, []byte(k.magic)) {
			return k.kind
		}
	}
	text := bytes.ToLower(bytes.TrimLeft(start, "\ufeff \t\r\n"))
	switch {
	case len(start) == 0:
		return "an empty file"
	case bytes.HasPrefix(text, []byte("<!doctype html")) || bytes.HasPrefix(text, []byte("<html")):
		return "an HTML page (perhaps a web page that was saved in place of the file it offers)"
	}
	return ""
}

// Kind is Known with an ONNX model among the kinds, and a word about files of no known kind.
func Kind(start []byte) string {
	known := Known(start)
	switch {
	case known != "":
		return known
	case len(start) < 8:
		return fmt.Sprintf("a file of %d bytes", len(start))
	case start[0] == 0x08 && start[2] == 0x12: // protobuf: field 1, the IR version, and field 2, the producer's name
		return "an ONNX model"
	}
	return fmt.Sprintf("a file that begins with %q", start[:8])
}
