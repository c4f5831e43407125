package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/gpu"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"golang.org/x/sys/cpu"
)

// doctor is the command that examines what classify computes with.
type doctor struct {
	Model   string `help:"Model file, or an embedded model: base, the default, small or tiny." placeholder:"MODEL"`
	Threads int    `help:"Threads; 0 is one per core." default:"0" placeholder:"N"`
	Format  string `help:"Output format: ${enum}." enum:"text,json" default:"text"`

	Computing computing.Flags `embed:""`
}

// diagnosis is the result, in JSON.
type diagnosis struct {
	Spec     int         `json:"spec"`
	OK       bool        `json:"ok"`
	Version  string      `json:"version"`
	Commit   string      `json:"commit"`
	Go       string      `json:"go"`
	Platform string      `json:"platform"`
	Device   deviceFacts `json:"device"`
	Model    modelFacts  `json:"model"`
	SelfTest *selfTest   `json:"self_test"` // nil: not done
	Problems []problem   `json:"problems"`  // classify does not work, or not as it should
	Notes    []problem   `json:"notes"`     // it could work better
}

type deviceFacts struct {
	Name    string   `json:"name"` // "": there is none
	Why     string   `json:"why"`
	Kernels []string `json:"kernels"` // that this machine can run, slowest first
	CPU     []string `json:"cpu"`     // features that kernels are chosen by
	Cores   int      `json:"cores"`
	Threads int      `json:"threads"`
}

type modelFacts struct {
	Source      safe.String `json:"source"`
	Labels      []string    `json:"labels"` // none: the model cannot be used
	Parameters  int         `json:"parameters"`
	Rate        int         `json:"rate"` // hertz
	Window      seconds     `json:"window"`
	Lookahead   seconds     `json:"lookahead"`
	Calibration string      `json:"calibration"` // "": none
}

// problem is something that is not as it should be, and what to do about it.
type problem struct {
	What safe.String `json:"what"`
	Do   safe.String `json:"do"`
}

func (d *diagnosis) problem(err error, do string) {
	d.Problems = append(d.Problems, problem{safe.String(err.Error()), safe.String(do)})
}
func (d *diagnosis) note(what, do string) {
	d.Notes = append(d.Notes, problem{safe.String(what), safe.String(do)})
}

// Run examines and reports.
func (d *doctor) Run(s program.Streams) error {
	if d.Threads < 0 {
		return program.WithStatus(program.StatusUsage, fmt.Errorf("--threads %d is negative", d.Threads))
	}
	found := d.examine()
	var err error
	if d.Format == "json" {
		err = safe.WriteJSON(s.Out, found)
	} else {
		err = found.print(s.Out)
	}
	if err == nil && !found.OK {
		return program.Exit(program.StatusModel)
	}
	return err
}

func (d *doctor) examine() *diagnosis {
	found := &diagnosis{
		Spec: records.Spec, Version: program.Version(), Commit: program.Commit(),
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Problems: []problem{}, Notes: []problem{},
	}
	dev := found.examineDevice(d.Computing, d.Threads)
	model := found.examineModel(d.Model)
	if dev != nil && model != nil {
		found.test(model, dev.Trainer, dev.Precision)
	}
	if dev != nil {
		if err := dev.Close(); err != nil {
			found.problem(err, "see whether nvidia-smi shows errors")
		}
	}
	found.OK = len(found.Problems) == 0
	return found
}

// examineDevice returns the device that each of classify's threads computes on, or nil.
func (d *diagnosis) examineDevice(flags computing.Flags, threads int) *computing.Device {
	f := &d.Device
	f.Kernels, f.CPU, f.Cores = device.Kernels(), cpuFeatures(), runtime.NumCPU()
	f.Threads = cmp.Or(threads, runtime.GOMAXPROCS(0))
	f.Why = "the fastest kernels that this machine can run"
	forced := os.Getenv(device.KernelsVariable)
	if forced != "" {
		f.Why = fmt.Sprintf("%s=%s asks for it", device.KernelsVariable, forced)
	}
	dev, err := flags.Open(1)
	if errors.Is(err, device.ErrKernels) {
		d.problem(err, "unset "+device.KernelsVariable+", or set it to one of: "+strings.Join(f.Kernels, ", "))
		return nil
	}
	if err != nil {
		d.problem(err, "use --device cpu, or see what is missing with nvidia-smi")
		return nil
	}
	f.Name = dev.Trainer.Name()
	if dev.GPU() {
		f.Why = "--device " + string(flags.Device)
		return dev
	}
	if dev.Note != "" {
		d.note(dev.Note, "nothing, where the processor is fast enough; else see what is missing with nvidia-smi")
	}
	switch fastest := f.Kernels[len(f.Kernels)-1]; {
	case forced != "" && forced != fastest:
		d.note(fmt.Sprintf("%s=%s keeps faster kernels (%s) from being used", device.KernelsVariable, forced, fastest),
			"unset "+device.KernelsVariable)
	case len(f.Kernels) == 1 && runtime.GOARCH == "amd64":
		d.note("there are no vectorised kernels: the processor lacks AVX2 or FMA, "+
			"or the program was built with -tags purego",
			"use a build without purego; in a virtual machine, expose the host's processor to it")
	case len(f.Kernels) == 1:
		d.note("there are vectorised kernels for amd64 and arm64 only, in builds without -tags purego; "+
			"plain Go is several times slower",
			"nothing, where it is fast enough")
	}
	if f.Threads < f.Cores && threads == 0 {
		d.note(fmt.Sprintf("%d threads on %d cores", f.Threads, f.Cores),
			"see GOMAXPROCS and the container's limit of CPUs")
	}
	return dev
}

// cpuFeatures names the processor's features of those by which kernels are chosen.
func cpuFeatures() []string {
	names, x86 := []string{}, cpu.X86
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"AVX2", x86.HasAVX2}, {"FMA", x86.HasFMA}, {"BMI2", x86.HasBMI2},
		{"AVX512F", x86.HasAVX512F}, {"AVX512DQ", x86.HasAVX512DQ}, {"AVX512VL", x86.HasAVX512VL},
		{"AVX512BW", x86.HasAVX512BW}, {"ASIMD", cpu.ARM64.HasASIMD},
	} {
		if f.has {
			names = append(names, f.name)
		}
	}
	return names
}

func (d *diagnosis) examineModel(path string) *polynet.Model {
	f := &d.Model
	f.Source = safe.String(path)
	if models.Embedded(path) {
		f.Source = safe.String(cmp.Or(path, defaultModel) + " (embedded)")
	}
	m, err := models.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		d.problem(err, "see that --model names a file, or leave it out for the embedded model "+defaultModel)
		return nil
	}
	if err != nil {
		d.problem(err, "name a file that train fit has written")
		return nil
	}
	f.Labels, f.Parameters = m.Labels, m.Net.Program().Parameters()
	f.Rate, f.Window = m.Features.Rate, seconds(m.Window)
	f.Lookahead = seconds(m.Net.Lookahead(m.Features).Seconds())
	unknown := slices.Contains(m.Labels, polynet.UnknownLabel)
	if c := m.Calibration; c != nil {
		f.Calibration, unknown = c.String(), unknown || c.Unknown != nil
	}
	if !unknown {
		d.note("the model has no label "+polynet.UnknownLabel+": it gives every sound one of its labels",
			"train with --words, or with a folder of other sounds named "+polynet.UnknownLabel+
				", or give such a folder to train calibrate --unknown")
	}
	return m
}

// print writes the diagnosis for people.
func (d *diagnosis) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		safe.Fprintf(t, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	row("version", "polyphon %s, %s, %s", d.Version, d.Go, d.Platform)
	if d.Device.Name != "" {
		row("device", "%s: %s", d.Device.Name, d.Device.Why)
	}
	row("kernels", "%s", strings.Join(d.Device.Kernels, ", "))
	row("processor", "%d cores; %s", d.Device.Cores, strings.Join(d.Device.CPU, " "))
	row("threads", "%d", d.Device.Threads)
	row("model", "%s", d.Model.Source)
	if m := d.Model; m.Labels != nil {
		row("labels", "%d: %s", len(m.Labels), strings.Join(m.Labels, " "))
		row("parameters", "%d", m.Parameters)
		row("sound", "%d Hz (other rates are converted), windows of %v s, lookahead %d ms",
			m.Rate, m.Window, time.Duration(m.Lookahead*1e9)/time.Millisecond)
		row("calibration", "%s", cmp.Or(m.Calibration, "none"))
	}
	if s := d.SelfTest; s != nil {
		verdict := "passed"
		if !s.Passed {
			verdict = "FAILED"
		}
		row("self-test", "%s: log-probabilities within %.1g of the reference's (limit %g)",
			verdict, s.Difference, s.Limit)
		row("speed", "%.2f ms for a window of %v s on one thread, %.0f x real time",
			s.Milliseconds, d.Model.Window, s.RealTime)
	}
	list := func(name string, problems []problem) {
		for _, p := range problems {
			row(name, "%s", p.What)
			row("", "what to do: %s", p.Do)
		}
	}
	list("note", d.Notes)
	list("PROBLEM", d.Problems)
	if d.OK {
		row("", "all is well")
	}
	return t.Flush()
}

// selfTest compares a device with the plain reference arithmetic, on a sound that is made for it.
type selfTest struct {
	Passed       bool    `json:"passed"`
	Difference   float64 `json:"difference"` // the largest one of a label's log-probability
	Limit        float64 `json:"limit"`
	Milliseconds float64 `json:"ms_per_window"` // on one thread, from samples to labels
	RealTime     float64 `json:"x_real_time"`
}

const (
	selfTestTime = 300 * time.Millisecond // that the speed is measured for
	minP         = 1e-30                  // what is less likely counts as this
)

// selfTestLimits are the limits of the difference. Rounding alone gives the embedded model 1e-6, 3e-3 and 4e-2.
var selfTestLimits = map[gpu.Precision]float64{gpu.Float32: 1e-2, gpu.TF32: 3e-2, gpu.BFloat16: 0.3}

// test classifies the test sound with m on dev, whose products have the precision, and with the reference arithmetic.
func (d *diagnosis) test(m *polynet.Model, dev device.Device, p gpu.Precision) {
	const wrongKernels = "set " + device.KernelsVariable +
		"=generic, and report this with all that classify doctor says"
	sound := testSound(m.Features.Rate, m.Window)
	want, _, err := classifyFor(0, m, sound, polyphon.WithReference())
	if err != nil {
		d.problem(fmt.Errorf("self-test: %w", err),
			"use another model; one trained with --limit does not grow beyond bounds")
		return
	}
	got, took, err := classifyFor(selfTestTime, m, sound, polyphon.WithDevice(dev))
	if err != nil {
		d.problem(fmt.Errorf("self-test: %w", err), wrongKernels)
		return
	}
	s := &selfTest{Limit: selfTestLimits[p], Milliseconds: took.Seconds() * 1e3, RealTime: m.Window / took.Seconds()}
	for label, p := range want {
		s.Difference = max(s.Difference, math.Abs(math.Log(max(p, minP)/max(got[label], minP))))
	}
	s.Passed = s.Difference <= s.Limit
	d.SelfTest = s
	if !s.Passed {
		err := fmt.Errorf("self-test: %s is off by %.3g in a log-probability", dev.Name(), s.Difference)
		d.problem(err, wrongKernels)
	}
}

// classifyFor classifies a sound of one window, again and again for some time. It returns the probabilities and the
// median time.
func classifyFor(
	t time.Duration, m *polynet.Model, sound audio.Clip, how polyphon.Option,
) (map[string]float64, time.Duration, error) {
	r, err := polyphon.New(m, how)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	p := map[string]float64{}
	var times []time.Duration
	for begin := time.Now(); len(times) == 0 || time.Since(begin) < t; {
		start := time.Now()
		scores, err := r.Classify(sound.Samples, sound.Rate)
		if err != nil {
			return nil, 0, err
		}
		times = append(times, time.Since(start))
		for _, s := range scores {
			p[s.Label] = s.P
		}
	}
	slices.Sort(times)
	return p, times[len(times)/2], nil
}

// testSound makes a window of something like a voice: a buzz that glides from 180 to 120 Hz, in syllables, over noise.
func testSound(rate int, length float64) audio.Clip {
	rng := rand.New(rand.NewPCG(1, 2))
	clip := audio.Clip{Rate: rate, Samples: make([]float32, int(math.Round(length*float64(rate))))}
	phase := 0.0
	for i := range clip.Samples {
		t := float64(i) / float64(rate)
		phase += 2 * math.Pi * (180 - 60*t/length) / float64(rate)
		buzz := 0.0
		for harmonic := 1.0; harmonic <= 10; harmonic++ {
			buzz += math.Sin(harmonic*phase) / harmonic
		}
		syllable := math.Pow(math.Sin(math.Pi*t/0.25), 2)
		clip.Samples[i] = float32(0.15*syllable*buzz + 0.01*rng.NormFloat64())
	}
	return clip
}
