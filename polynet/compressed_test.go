package polynet_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/internal/memtest"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// zipped returns a gzip file of texts.
func zipped(t testing.TB, texts ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for _, text := range texts {
		if _, err := z.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCompressedModelFile(t *testing.T) {
	want, folder := testModel(), t.TempDir()
	for name, compressed := range map[string]bool{"m.safetensors.gz": true, "m.gz": true, "m.safetensors": false} {
		path := filepath.Join(folder, name)
		if err := want.Save(path); err != nil {
			t.Fatal(err)
		}
		got, err := polynet.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if field := difference(got, want); field != "" {
			t.Errorf("%s: what is read differs in its %s", name, field)
		}
		file, err := os.ReadFile(path)
		if err != nil || (len(file) < len(modelFile(t, want))) != compressed {
			t.Errorf("%s has %d bytes, uncompressed there are %d; %v", name, len(file), len(modelFile(t, want)), err)
		}
	}
}

func TestBadCompressedModelFile(t *testing.T) {
	file := modelFile(t, testModel())
	good := zipped(t, file)
	damaged := bytes.Clone(good)
	damaged[len(damaged)-5] ^= 1 // of the checksum
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"the magic alone":      {[]byte("\x1f\x8b"), "a gzip file: unexpected EOF"},
		"another method":       {[]byte("\x1f\x8b\x01\x00\x00\x00\x00\x00\x00\x00"), "a gzip file: gzip: invalid header"},
		"half of it":           {good[:len(good)/2], "unexpected EOF"},
		"without its end":      {good[:len(good)-1], "unexpected EOF"},
		"a wrong checksum":     {damaged, "gzip: invalid checksum"},
		"something after it":   {append(bytes.Clone(good), 'x'), "EOF"},
		"compressed twice":     {zipped(t, good), "the file ends after"},
		"of something else":    {zipped(t, []byte("<!doctype html><title>")), "an HTML page"},
		"of nothing":           {zipped(t), "an empty file"},
		"bytes after a tensor": {zipped(t, file, []byte{0}), "bytes after the last tensor"},
	} {
		_, err := polynet.Read(bytes.NewReader(c.file))
		if !errors.Is(err, polynet.ErrModel) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// TestCompressedModelFileIsBounded reads a file of zeros that is a thousand times as large as it is compressed.
func TestCompressedModelFileIsBounded(t *testing.T) {
	metadata, err := testModel().Metadata()
	if err != nil {
		t.Fatal(err)
	}
	const size = 40 << 20
	header, err := json.Marshal(map[string]any{
		metadataKey: metadata, "stem.conv.weight": tensorEntry{"F32", []int{size / 4}, [2]int64{0, size}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := zipped(t, withLength(header), make([]byte, size))
	memtest.Within(t, len(file), func() { _, err = polynet.Read(bytes.NewReader(file)) })
	if !errors.Is(err, polynet.ErrModel) || !strings.Contains(err.Error(), "may hold 8388608 bytes") {
		t.Errorf("%v", err)
	}
}

func TestSaveRefusesToCompressLargeModels(t *testing.T) {
	c := nettest.Tiny(polynet.Linear)
	c.Stages[0].Width = 1500
	path := filepath.Join(t.TempDir(), "m.gz")
	err := nettest.RandomModel(c, nettest.Rand(1)).Save(path)
	if !errors.Is(err, polynet.ErrModel) || !strings.Contains(err.Error(), "at most 8388608 can be compressed") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
}
