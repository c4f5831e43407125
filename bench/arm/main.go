// Command arm is the driver of bench/arm.sh: it lets bench/polyphon run the work of a listener and of training with
// plain Go and with NEON, and prints a table. It measures seconds, or, where the worker runs under qemu with the plugin
// of qemu/count.c, counts instructions.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/polyphon/polyphon/bench/serve"
)

const (
	rate          = 16000 // samples in a second
	frames, mels  = 101, 40
	trainingBatch = 8
)

// row is a row of the table: a case of bench/polyphon.
type row struct {
	title, name string
	args        map[string]any
	calls       int      // whose instructions are counted
	peer        []string // a program that does the same a few times and writes a line each time, and its name
}

// peers are commands that compare, where instructions are counted.
type peers struct{ train, ort, product string }

func main() {
	log.SetFlags(0)
	worker := flag.String("worker", "", "bench/polyphon for arm64")
	native := flag.String("native", "", "bench/polyphon for this machine")
	emulator := flag.String("emulator", "", "command that runs the worker and prints counts of instructions")
	var others peers
	flag.StringVar(&others.train, "train", "", "cmd/train for this machine, which exports for -ort")
	flag.StringVar(&others.ort, "ort", "", "command of ONNX Runtime; see peers/ort.c")
	flag.StringVar(&others.product, "product", "", "command of peers/product.c")
	flag.Parse()
	folder, err := os.MkdirTemp("", "polyphon-arm-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	rows := prepare(folder, *native, others)
	counts := *emulator != ""
	unit := "seconds"
	if counts {
		unit = "million instructions"
	}
	fmt.Printf("| work, %s | plain Go | NEON | ratio | peer |\n| --- | --- | --- | --- | --- |\n", unit)
	command := append(strings.Fields(*emulator), *worker)
	generic, neon := start(command, "generic"), start(command, "neon")
	for _, r := range rows {
		g, n := generic.cost(r, counts), neon.cost(r, counts)
		fmt.Printf("| %s | %.4g | %.4g | 1/%.1f | %s |\n", r.title, g, n, g/n, r.peerCost(*emulator))
	}
	generic.stop()
	neon.stop()
}

// prepare writes the inputs and the large model and returns the rows.
func prepare(folder, native string, others peers) []row {
	path := func(name string) string { return filepath.Join(folder, name) }
	rng := rand.New(rand.NewPCG(1, 1))
	random := func(name string, n int) string {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(0.1 * rng.NormFloat64())
		}
		if err := serve.WriteFloats(path(name), values); err != nil {
			log.Fatal(err)
		}
		return path(name)
	}
	second, clip := random("second", rate), random("clip", frames*mels)
	batch := random("batch", trainingBatch*frames*mels)
	large := path("large.safetensors")
	w := start([]string{native}, "")
	w.ask(map[string]any{"do": "prepare", "name": "large", "case": "model", "args": map[string]any{
		"path": large, "block": "pi", "widths": []int{48, 64, 96, 128}, "frames": frames,
	}})
	w.stop()
	plan := func(model string) map[string]any {
		return map[string]any{"model": model, "rows": clip, "batch": 1, "frames": frames, "threads": 1}
	}
	live := func(model string) map[string]any {
		return map[string]any{"model": model, "samples": second, "step": 0.08}
	}
	const few = 8
	// network is the peer of a clip through a model.
	network := func(model string) []string {
		if others.ort == "" {
			return nil
		}
		file := path("network.onnx" + filepath.Base(model))
		export := exec.Command(others.train, "export", "--onnx", file, model)
		if model == "" {
			export.Args = export.Args[:len(export.Args)-1]
		}
		if out, err := export.CombinedOutput(); err != nil {
			log.Fatalf("%v: %s", err, out)
		}
		command := append(strings.Fields(others.ort), file, fmt.Sprint(frames), fmt.Sprint(mels))
		return append(command, "ONNX Runtime")
	}
	const rows, depth, columns = frames, 432, 48
	var product []string
	if others.product != "" {
		product = append(strings.Fields(others.product), fmt.Sprint(rows), fmt.Sprint(depth), fmt.Sprint(columns), "C")
	}
	return []row{
		{
			fmt.Sprintf("a product of %d × %d by %d × %d", rows, depth, depth, columns), "product", map[string]any{
				"a": random("a", rows*depth), "w": random("w", depth*columns), "groups": 1, "group_stride": rows * depth,
				"rows": rows, "step": depth, "depth": depth, "cols": columns,
			}, few, product,
		},
		{"a second from 44.1 to 16 kHz, with the design of the filter", "resample", map[string]any{
			"samples": random("recording", 44100), "from": 44100, "to": rate,
		}, few, nil},
		{"log-mel rows of a second", "logmel", map[string]any{"samples": second}, few, nil},
		{"a clip of a second, `pi` 1.1 M (48 64 96 128)", "plan", plan(large), few, network(large)},
		{"a clip, the embedded model `base`", "plan", plan(""), few, network("")},
		{"a clip, the embedded model `small`", "plan", plan("small"), few, network("small")},
		{"a live second, decisions every 80 ms, `base`", "stream", live(""), few, nil},
		{"a live second, decisions every 80 ms, `small`", "stream", live("small"), few, nil},
		{
			fmt.Sprintf("a training step on %d clips, `pi` 1.1 M", trainingBatch), "step", map[string]any{
				"model": large, "rows": batch, "batch": trainingBatch, "frames": frames, "threads": 1, "rate": 0.01, "steps": 0,
			}, 1, nil,
		},
	}
}

// worker is a running bench/polyphon.
type worker struct {
	command         *exec.Cmd
	requests        io.WriteCloser
	answers, counts *bufio.Reader
	executed        int64 // instructions before the latest request
}

func start(command []string, kernels string) *worker {
	c := exec.Command(command[0], command[1:]...)
	c.Env = append(os.Environ(), "POLYPHON_CPU="+kernels, "GOMAXPROCS=1")
	in, err := c.StdinPipe()
	if err != nil {
		log.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		log.Fatal(err)
	}
	diagnostics, err := c.StderrPipe()
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Start(); err != nil {
		log.Fatal(err)
	}
	return &worker{
		command: c, requests: in, answers: bufio.NewReader(out), counts: bufio.NewReader(diagnostics),
	}
}

func (w *worker) stop() {
	w.requests.Close()
	if err := w.command.Wait(); err != nil {
		log.Fatal(err)
	}
}

// ask returns the seconds that an answer reports, 0 where it reports none.
func (w *worker) ask(request map[string]any) float64 {
	if err := json.NewEncoder(w.requests).Encode(request); err != nil {
		log.Fatal(err)
	}
	line, err := w.answers.ReadBytes('\n')
	var answer struct {
		Seconds float64
		Error   string
	}
	if err == nil {
		err = json.Unmarshal(line, &answer)
	}
	if err != nil || answer.Error != "" {
		log.Fatalf("%v: %v %s", request, err, answer.Error)
	}
	return answer.Seconds
}

// cost returns a row's seconds or million instructions.
func (w *worker) cost(r row, counts bool) float64 {
	request := map[string]any{"do": "prepare", "name": r.title, "case": r.name, "args": r.args}
	timed := func(calls int) float64 {
		return w.ask(map[string]any{"do": "time", "name": r.title, "calls": calls})
	}
	if counts {
		w.counted(func() { w.ask(request) })
		// Two requests that differ in their number of calls: what the first call and the answer take cancels.
		few := w.counted(func() { timed(1) })
		return float64(w.counted(func() { timed(1 + r.calls) })-few) / float64(r.calls) / 1e6
	}
	w.ask(request)
	const sample, rounds = 300 * time.Millisecond, 5
	calls := 1 + int(sample.Seconds()/timed(1))
	var seconds []float64
	for range rounds {
		seconds = append(seconds, timed(calls))
	}
	slices.Sort(seconds)
	return seconds[rounds/2]
}

// peerCost returns what the peer takes in million instructions, the last of its runs, and its name.
func (r row) peerCost(emulator string) string {
	if r.peer == nil {
		return ""
	}
	last := len(r.peer) - 1
	command := append(strings.Fields(emulator), r.peer[:last]...)
	c := exec.Command(command[0], command[1:]...)
	diagnostics := new(strings.Builder)
	c.Stderr = diagnostics
	if err := c.Run(); err != nil {
		log.Fatalf("%s: %v: %s", r.peer[last], err, diagnostics)
	}
	var counts []int
	for _, line := range strings.Fields(diagnostics.String()) {
		count, err := strconv.Atoi(line)
		if err != nil {
			log.Fatalf("%s: %s", r.peer[last], diagnostics)
		}
		counts = append(counts, count)
	}
	return fmt.Sprintf("%.4g (%s)", float64(counts[len(counts)-1]-counts[len(counts)-2])/1e6, r.peer[last])
}

// counted returns how many instructions a request executed, as the plugin counts them until its answer.
func (w *worker) counted(ask func()) (count int64) {
	ask()
	var now int64
	if _, err := fmt.Fscan(w.counts, &now); err != nil {
		log.Fatalf("no count of instructions: %v", err)
	}
	count, w.executed = now-w.executed, now
	return count
}
