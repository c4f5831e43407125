package training

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/internal/memtest"
	"github.com/polyphon/polyphon/polynet"
)

// smallCheckpoint returns a checkpoint of two epochs with lists of more than one piece and of none.
func smallCheckpoint() *checkpoint {
	c := &checkpoint{
		head: head{
			Version: checkpointVersion, Config: Default(), Labels: []string{"a", "b"}, Data: "digest",
			Step: 40, Epochs: 2, Best: bestState{Epoch: 2, Accuracy: 90, Model: []byte("a model")}, Model: 7,
		},
		History: []Epoch{{Epoch: 1, Loss: 1.5}, {Epoch: 2, Best: true}},
		Weights: state{Params: make([]float32, 3), Running: []float32{1}}, Moments: [][]float32{make([]float32, piece+2)},
		Hard: []datasets.Place{{Item: 3, Sample: 16000}, {Item: 4}},
	}
	c.Moments[0][piece] = 0.25
	return c
}

// run returns the checkpoint of the same run before its first epoch.
func (c *checkpoint) run() *checkpoint {
	r := *c
	r.History, r.Best, r.Epochs, r.Step, r.Model = nil, bestState{}, 0, 0, 0
	r.Moments = slices.Clone(c.Moments)
	return &r
}

func written(t testing.TB, c *checkpoint) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := c.write(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// readBack reads a file as Trainer.resume does.
func readBack(c *checkpoint, file []byte) error {
	r := bytes.NewReader(file)
	if err := checksum(r); err != nil {
		return err
	}
	return c.read(r)
}

func TestCheckpointRoundTrip(t *testing.T) {
	want := smallCheckpoint()
	got := want.run()
	if err := readBack(got, written(t, want)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got.head, want.head)
	}
}

// TestReadPast reads the epochs of a checkpoint alone, and refuses what is none.
func TestReadPast(t *testing.T) {
	want, path := smallCheckpoint(), filepath.Join(t.TempDir(), "c")
	write := func(file []byte) {
		t.Helper()
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(written(t, want))
	past, err := ReadPast(path)
	history, data := past.History, past.Data
	if err != nil || data != "digest" || !slices.Equal(history, want.History) {
		t.Fatalf("epochs %+v of %q, error %v", history, data, err)
	}
	hostile := *want
	hostile.Config.Epochs = 1 // fewer than are there
	other := *want
	other.Version++
	for name, file := range map[string][]byte{
		"empty": nil, "cut": written(t, want)[:200], "text": []byte(strings.Repeat("epoch,rate\n", 30)),
		"impossible": written(t, &hostile), "another version": written(t, &other),
	} {
		write(file)
		if past, err := ReadPast(path); !errors.Is(err, ErrCheckpoint) || past.History != nil {
			t.Errorf("%s: epochs %v, error %v", name, past.History, err)
		}
	}
}

// TestDamagedCheckpoints cuts a file at every byte, and turns each bit of it.
func TestDamagedCheckpoints(t *testing.T) {
	want := smallCheckpoint()
	want.Moments[0] = make([]float32, 5)
	file := written(t, want)
	for i := range file {
		if err := readBack(want.run(), file[:i]); err == nil {
			t.Fatalf("cut to %d of %d bytes, it can be read", i, len(file))
		}
		flipped := bytes.Clone(file)
		flipped[i] ^= 1 << (i % 8)
		if err := readBack(want.run(), flipped); err == nil {
			t.Fatalf("with byte %d changed, it can be read", i)
		}
		want.run().read(bytes.NewReader(flipped)) // what a right checksum would lead to: no panic
	}
	if err := readBack(want.run(), append(bytes.Clone(file), 0)); err == nil {
		t.Error("with a byte more, it can be read")
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestCheckpointOnFullDisk: however much there is to write, the error is said once.
func TestCheckpointOnFullDisk(t *testing.T) {
	c := smallCheckpoint()
	c.Moments[0] = make([]float32, 100*piece)
	if err := c.write(fullDisk{}); err == nil || err.Error() != "no space left on device" {
		t.Errorf("error %q", err)
	}
}

// TestHostileCheckpoints gives files with right checksums.
func TestHostileCheckpoints(t *testing.T) {
	messages := func(list ...any) []byte {
		var file bytes.Buffer
		e := gob.NewEncoder(&file)
		for _, m := range list {
			if err := e.Encode(m); err != nil {
				t.Fatal(err)
			}
		}
		sum := sha256.Sum256(file.Bytes())
		return append(file.Bytes(), sum[:]...)
	}
	with := func(edit func(h *head)) head {
		h := smallCheckpoint().head
		h.Best.Model = nil
		edit(&h)
		return h
	}
	plain := with(func(h *head) { h.Epochs, h.Best.Epoch, h.Model = 0, 0, 0 })
	none := hardPlaces{}
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"labels": {
			messages(with(func(h *head) { h.Labels = make([]string, 10<<20) })), "it is damaged, no checkpoint",
		},
		"stages": {
			messages(with(func(h *head) { h.Config.Net.Stages = make([]polynet.Stage, 5<<20) })), "it is damaged, no checkpoint",
		},
		"fewer stages": {
			messages(with(func(h *head) { h.Config.Net.Stages = make([]polynet.Stage, 1<<19) })), "other settings",
		},
		"a step below 0":     {messages(with(func(h *head) { h.Step = -1 })), "counts are impossible"},
		"epochs":             {messages(with(func(h *head) { h.Epochs = h.Config.Epochs + 1 })), "counts are impossible"},
		"a best epoch ahead": {messages(with(func(h *head) { h.Best.Epoch = 3 })), "counts are impossible"},
		"a model below 0":    {messages(with(func(h *head) { h.Model = -1 })), "counts are impossible"},
		"a model in the head": {
			messages(with(func(h *head) { h.Best.Model = []byte("x") })), "counts are impossible",
		},
		"an epoch missing": {messages(with(func(*head) {}), Epoch{}), "it is damaged: epoch 2: "},
		"another message":  {messages(plain, none, Epoch{Epoch: 1}), "list 0: "},
		"no hard places":   {messages(plain, make([]float32, 3)), "it is damaged: the hard negatives: "},
		"more hard places": {
			messages(plain, hardPlaces{make([]datasets.Place, datasets.MaxPlaces+1)}), "too many hard negatives",
		},
		"too many values":  {messages(plain, none, make([]float32, 4)), "list 0: 4 values after 0 of 3"},
		"values after":     {messages(plain, none, make([]float32, 2), make([]float32, 2)), "list 0: 2 values after 2 of 3"},
		"no values":        {messages(plain, none, []float32{}), "list 0: 0 values after 0 of 3"},
		"a million values": {messages(plain, none, make([]float32, 1<<20)), "list 0: 1048576 values"},
		"no moments":       {messages(plain, none, make([]float32, 3), []float32{1}), "it is damaged: list 4: "},
		"version 4": {
			messages(struct{ Version int }{4}), "it has version 4, this program writes 6",
		},
		"Git LFS":  {[]byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n"), "git lfs pull"},
		"HTML":     {[]byte("<!doctype html><title>404</title>" + strings.Repeat(" ", 99)), "an HTML page"},
		"a pickle": {[]byte("PK\x03\x04\x00\x00\x08\x08"), "a ZIP archive"},
		"nothing":  {nil, "an empty file"},
	} {
		var err error
		memtest.Within(t, len(c.file), func() { err = readBack(smallCheckpoint().run(), c.file) })
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, which should say %q", name, err, c.says)
		}
	}
}

func TestCheckpointsAreNotFollowedBeyondTheirSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(maxCheckpoint + 1); err != nil {
		t.Fatal(err)
	}
	if err := checksum(f); err == nil || !strings.Contains(err.Error(), "4294967297 bytes, at most 4294967296") {
		t.Error(err)
	}
}

// FuzzCheckpoint reads a file with its own checksum, and its messages as those of a file with a right one.
func FuzzCheckpoint(f *testing.F) {
	c := smallCheckpoint()
	c.Moments[0] = make([]float32, 3)
	file := written(f, c)
	f.Add(file)
	f.Add(file[:len(file)-sha256.Size])
	f.Add(file[:len(file)/2])
	f.Add(written(f, c.run()))
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var err, inner error
		memtest.Within(t, len(file), func() { err = readBack(c.run(), file) })
		got := c.run()
		memtest.Within(t, len(file), func() { inner = got.read(bytes.NewReader(file)) })
		if err == nil && inner != nil {
			t.Fatalf("read, and then not: %v", inner)
		}
		if inner == nil && (len(got.Weights.Params) != 3 || len(got.Best.Model) != got.Model) {
			t.Fatalf("%d values, a model of %d bytes", len(got.Weights.Params), len(got.Best.Model))
		}
		if errors.Is(inner, io.EOF) {
			t.Fatal("an end of file that is no error")
		}
	})
}
