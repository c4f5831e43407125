package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/polyphon/polyphon/bounds"
	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/cmd/internal/progress"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

type certifyCmd struct {
	Model   string  `help:"${modelHelp}" placeholder:"MODEL"`
	Data    string  `help:"Folder of recordings, CLASS/*.wav." required:"" type:"path" placeholder:"DIR"`
	Split   string  `help:"Part of the data: test, valid, train or all." enum:"test,valid,train,all" default:"test"`
	Gain    float64 `help:"Change of the gain in decibels, up and down." default:"3" placeholder:"DB"`
	Noise   float64 `help:"Change of each log-mel value in decibels, up and down." default:"0.01" placeholder:"DB"`
	Clips   int     `help:"Clips to certify, evenly over the part of the data; 0 is all." default:"20" placeholder:"N"`
	Pieces  int     `help:"Parts into which the range of gains is cut at most." default:"32" placeholder:"N"`
	Steps   int     `help:"Steps of each attack." default:"20" placeholder:"N"`
	Points  int     `help:"Random changes with which each proof is checked." default:"10000" placeholder:"N"`
	Silence float64 `help:"${silenceHelp}" default:"0.1"`
	Threads int     `help:"Threads; 0 is one per core." default:"0"`
	JSON    bool    `name:"json" help:"Print one JSON object."`

	Computing computing.Flags `embed:""`

	Decoding decoding.Flags `embed:""`
}

// attackedGains are at how many gains an attack begins, from the lowest to the highest.
const attackedGains = 9

func (c *certifyCmd) Run(ctx context.Context, s program.Streams) (err error) {
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	switch {
	case !(c.Gain >= 0 && c.Gain <= 120):
		return usageError("--gain %g is not in 0…120", c.Gain)
	case !(c.Noise >= 0 && c.Noise <= 120):
		return usageError("--noise %g is not in 0…120", c.Noise)
	case c.Clips < 0 || c.Pieces < 1 || c.Steps < 0 || c.Threads < 0 || c.Points < 0:
		return usageError("--clips, --steps, --points and --threads must not be negative and --pieces must be positive")
	}
	model, set, items, err := openClips(c.Model, c.Data, c.Split, c.Silence)
	if err != nil {
		return err
	}
	dev, err := openDevice(c.Computing, c.Threads, s.Err)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, modelError(dev.Close())) }()
	gradient, err := training.NewInputGradient(model, dev.Trainer)
	if err != nil {
		return modelError(err)
	}
	defer gradient.Close()
	certifier := &certifier{certifyCmd: c, model: model, gradient: gradient, labels: set.Labels}
	r, err := certifier.run(ctx, evenly(items, c.Clips), set.Noise, s.Err)
	if err != nil {
		return err
	}
	if c.JSON {
		return safe.WriteJSON(s.Out, r)
	}
	return r.print(s.Out, c)
}

// evenly returns n items at even distances, or all of them for 0.
func evenly(items []datasets.Item, n int) []datasets.Item {
	if n == 0 || n >= len(items) {
		return items
	}
	list := make([]datasets.Item, n)
	for i := range list {
		list[i] = items[i*len(items)/n]
	}
	return list
}

// The states of a clip.
const (
	certified = "certified" // no change of the gain and of the features within the bounds changes the answer: proved
	attacked  = "attacked"  // one that does was found
	undecided = "open"      // neither
)

// certificate is what is known about a clip.
type certificate struct {
	File    string  `json:"file"`
	Label   string  `json:"label"`  // of the data
	Answer  string  `json:"answer"` // of the model
	State   string  `json:"state"`
	Pieces  int     `json:"pieces"`  // parts of the range of gains that were computed
	Seconds float64 `json:"seconds"` // that it took
	// GainDB and Other are of an attack: the gain, and what the clip is then answered.
	GainDB *float64 `json:"gain_db,omitempty"`
	Other  string   `json:"other,omitempty"`
}

// certificates are what --json prints.
type certificates struct {
	GainDB    float64       `json:"gain_db"`
	NoiseDB   float64       `json:"noise_db"`
	Clips     int           `json:"clips"`
	Certified int           `json:"certified"`
	Right     int           `json:"certified_right"` // of those certified, with the data's label for an answer
	Open      int           `json:"open"`
	Attacked  int           `json:"attacked"`
	Points    int           `json:"points"` // at which each proof was checked, besides the attacks
	Widths    widths        `json:"widths"` // of the first clip
	Results   []certificate `json:"results"`
}

type certifier struct {
	*certifyCmd
	model    *polynet.Model
	gradient *training.InputGradient
	labels   []string
	net      *bounds.Net // for the length of the clips
}

func (c *certifier) run(
	ctx context.Context, items []datasets.Item, noise []datasets.Recording, console io.Writer,
) (*certificates, error) {
	extractor, err := features.New(c.model.Features)
	if err != nil {
		return nil, modelError(err)
	}
	loader, err := datasets.NewLoader(items, noise, datasets.LoaderConfig{
		Extractor: extractor, Window: c.model.Window, Batch: 1, Threads: 1, CacheBytes: -1,
	})
	if err != nil {
		return nil, err
	}
	r := &certificates{GainDB: c.Gain, NoiseDB: c.Noise, Points: c.Points, Results: []certificate{}}
	bar := progress.New(console, len(items), "train")
	defer bar.Clear()
	for b, err := range loader.Ordered(ctx) {
		if err != nil {
			return nil, err
		}
		one, err := c.clip(ctx, b)
		if err != nil {
			return nil, err
		}
		if r.add(one); r.Clips == 1 {
			if r.Widths, err = c.widths(ctx, c.sound(b)); err != nil {
				return nil, err
			}
		}
		bar.Describe(fmt.Sprintf("%d certified, %d attacked, %d open", r.Certified, r.Attacked, r.Open))
		bar.Add(1)
	}
	bar.Clear()
	warnFiles(console, nil, loader.Skipped(), loader.Warnings())
	if len(r.Results) == 0 {
		return nil, fmt.Errorf("%w: no clip of %s can be read", datasets.ErrNoData, c.Data)
	}
	return r, nil
}

func (r *certificates) add(one certificate) {
	r.Results = append(r.Results, one)
	r.Clips++
	switch one.State {
	case certified:
		r.Certified++
		if one.Answer == one.Label {
			r.Right++
		}
	case attacked:
		r.Attacked++
	default:
		r.Open++
	}
}

// clip attacks a clip, and where no attack succeeds tries to prove that none can.
func (c *certifier) clip(ctx context.Context, b *datasets.Batch) (certificate, error) {
	begin := time.Now()
	sound := c.sound(b)
	one := certificate{File: b.Items[0].Path, Label: c.labels[b.Labels[0]], State: undecided}
	attack := training.Attack{Steps: c.Steps, Starts: 2}
	if s := c.model.Calibrated().Scaling; s != nil {
		attack.Scale, attack.Shift = s.Scale, s.Shift
	}
	low, _ := sound.Box(0, 0)
	answer := attack.Answer(c.gradient.Logits(low, 1))
	one.Answer = c.model.Labels[answer]
	if found, gain := c.attack(attack, sound, answer); found != nil {
		one.State, one.GainDB = attacked, &gain
		one.Other = c.model.Labels[attack.Answer(c.gradient.Logits(found, 1))]
	} else {
		if err := c.compile(b.Frames); err != nil {
			return one, err
		}
		methods := []bounds.Method{{}, {Depth: bounds.Full}}
		proof, err := c.net.Prove(ctx, sound, answer, c.Gain, c.Noise, methods, c.Pieces)
		if err != nil {
			return one, err
		}
		if one.Pieces = proof.Pieces; proof.Proved {
			one.State = certified
			if err := c.check(ctx, attack, sound, answer); err != nil {
				return one, fmt.Errorf("%s: %w", one.File, err)
			}
		}
	}
	one.Seconds = time.Since(begin).Seconds()
	return one, nil
}

// attack attacks the clip at gains between the bounds, 0 first.
func (c *certifier) attack(a training.Attack, s bounds.Sound, answer int) (found []float32, gain float64) {
	rng := rand.New(rand.NewPCG(1, uint64(answer)))
	for i := range attackedGains {
		if c.Gain == 0 && i > 0 {
			break
		}
		// 0, then from one end to the other.
		if i > 0 {
			gain = c.Gain * (2*float64(i-1)/(attackedGains-2) - 1)
		}
		low, high := s.Box(gain, c.Noise)
		if found = a.Find(c.gradient, low, high, answer, rng); found != nil {
			return found, gain
		}
	}
	return nil, 0
}

// pointsPerGain is how many random changes of the features each random gain is checked with, which are run together.
const pointsPerGain = 50

// check looks for random changes that contradict a proof, half of them corners of the noise. One would be a fault of
// the proof.
func (c *certifier) check(ctx context.Context, a training.Attack, s bounds.Sound, answer int) error {
	rng := rand.New(rand.NewPCG(2, uint64(answer)))
	for done := 0; done < c.Points; done += pointsPerGain {
		if err := ctx.Err(); err != nil {
			return err
		}
		gain := c.Gain * (2*rng.Float64() - 1)
		low, high := s.Box(gain, c.Noise)
		count := min(pointsPerGain, c.Points-done)
		rows := make([]float32, 0, count*len(low))
		for i := range count {
			for k, v := range low {
				share := rng.Float32()
				if i%2 == 0 {
					share = float32(math.Round(float64(share)))
				}
				rows = append(rows, v+share*(high[k]-v))
			}
		}
		logits := c.gradient.Logits(rows, count)
		for i := range count {
			if got := a.Answer(logits[i*len(c.model.Labels):][:len(c.model.Labels)]); got != answer {
				return fmt.Errorf("the answer is proved to be %s, and is %s at a gain of %g dB: a fault of the proof",
					c.model.Labels[answer], c.model.Labels[got], gain)
			}
		}
	}
	return nil
}

func (c *certifier) sound(b *datasets.Batch) bounds.Sound {
	return bounds.Sound{Rows: slices.Clone(b.X), Floor: c.model.Features.Floor, Norm: c.model.Norm}
}

// compile makes the net for clips of so many frames.
func (c *certifier) compile(frames int) error {
	if c.net != nil && c.net.Frames() == frames {
		return nil
	}
	p, w, err := c.model.Inference()
	if err != nil {
		return modelError(err)
	}
	c.net, err = bounds.Compile(p, w, frames)
	return modelError(err)
}

func (r *certificates) print(w io.Writer, c *certifyCmd) error {
	safe.Fprintf(w, "%s of --split %s, gain ±%g dB, each log-mel value ±%g dB\n\n",
		count(r.Clips, "clip"), c.Split, r.GainDB, r.NoiseDB)
	t := table{columns: "lrrl"}
	line := func(state string, n int, meaning string) {
		t.row(state, fmt.Sprint(n), fmt.Sprintf("%.1f %%", 100*float64(n)/float64(r.Clips)), meaning)
	}
	line(certified, r.Certified, "proved that the answer stays the same")
	line("  and right", r.Right, "the answer is the data's label, too")
	line(attacked, r.Attacked, "a change within the bounds that changes the answer was found")
	line(undecided, r.Open, "neither proved nor found")
	if err := t.write(w); err != nil {
		return err
	}
	safe.Fprintf(w, "\nEach proof was checked by the attacks and at %d random changes: none was contradicted.\n", r.Points)
	r.Widths.print(w)
	return nil
}
