package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
)

// images returns images of noise with a bright square at a place that depends on the label.
func images(rng *rand.Rand, n int) (d digits) {
	for range n {
		label := rng.IntN(classes)
		for i := range pixels {
			v := 0.2 * rng.Float32()
			if i/28/7*4+i%28/7 == label {
				v += 0.6
			}
			d.pixels = append(d.pixels, v)
		}
		d.labels = append(d.labels, label)
	}
	return d
}

// TestNetwork trains a small network and compares its logits with those of the model that is made of it.
func TestNetwork(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	d := images(rng, 600)
	n := newMLP(device.Ref(), []int{pixels, 8, 6, classes}, 32, rng)
	var last float64
	r := recipe{rate: 0.05, momentum: 0.9, l1: 1e-4, batch: 32, epochs: 6, drop: 5}
	err := n.fit(t.Context(), d, r, rng, func(_ int, loss float64) { last = loss })
	if err != nil || last > 1 {
		t.Errorf("loss %g, %v", last, err)
	}
	m, err := n.model(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	x := n.dev.Alloc(pixels)
	for i := range 5 {
		copy(x.Host(), d.pixels[i*pixels:])
		want, got := n.forward(x, 1), nettest.Logits(m, d.pixels[i*pixels:(i+1)*pixels])
		values := make([]float32, classes)
		for k, v := range got {
			values[k] = float32(v)
		}
		nettest.Near(t, "logits", values, want.Data.Host()[:classes], 1e-4)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.fit(ended, d, r, rng, func(int, float64) {}); err == nil {
		t.Error("training goes on after its context's end")
	}
}

// TestRunsAreResumed removes units of a network twice: the second time the file of the first one answers.
func TestRunsAreResumed(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	x := &experiment{
		dev: device.Ref(), train: images(rng, 200), test: images(rng, 50), widths: []int{pixels, 5, 4, classes}, epochs: 1,
		out: t.TempDir(),
	}
	m, err := x.network(t.Context(), 1e-3, 7)
	if err != nil {
		t.Fatal(err)
	}
	r, err := x.remove(t.Context(), m, 1e-3, 7, 0)
	if err != nil || r.Accuracy != r.After || r.Units.All != 5+4+classes || len(r.Kept) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	path := filepath.Join(x.out, "5-4-0.001-1-7-milp0.json")
	r.Done = "read again"
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if again, err := x.remove(t.Context(), m, 1e-3, 7, 0); err != nil || again.Done != r.Done {
		t.Errorf("%+v, %v", again, err)
	}
	table := x.table([]result{r, r})
	if !strings.Contains(table, "| bounds alone | 0.001 |") ||
		!strings.Contains(table, "| logs of 2021 | 2e-4 | 97.91 |") {
		t.Error(table)
	}
}
