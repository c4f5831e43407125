package main

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/cmd/internal/progress"
	"github.com/polyphon/polyphon/cmd/internal/safe"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/tuning"
)

type tuneCmd struct {
	Model       string   `help:"${modelHelp}" placeholder:"MODEL"`
	Data        string   `help:"Folder of recordings of the words, CLASS/*.wav." required:"" type:"path" placeholder:"DIR"`
	Without     []string `help:"${withoutHelp}" required:"" type:"path" placeholder:"DIR"`
	Recordings  []string `help:"${recordingsHelp}" type:"path" placeholder:"DIR"`
	Split       string   `help:"Part of the data: valid, test, train or all." enum:"test,valid,train,all" default:"valid"`
	SNR         float64  `name:"snr" help:"How much louder than the background the words are, in dB." default:"10"`
	Minutes     float64  `help:"Minutes of other words, and of the recordings without words, at least." default:"60"`
	FalseAlarms float64  `help:"Most false alarms an hour (${default})." default:"0.5" placeholder:"N"`
	Delay       float64  `help:"${delayHelp}" default:"0" placeholder:"S"`
	Out         string   `help:"${tunedHelp}" type:"path" placeholder:"FILE"`
	Measure     bool     `help:"Try no other operating point than the model's own."`
	Det         []string `help:"${detHelp}" type:"path" placeholder:"FILE"`
	Seed        int64    `help:"Seed of the order and the pauses of words." default:"1"`

	Decoding decoding.Flags `embed:""`
}

func (c *tuneCmd) Run(ctx context.Context, s program.Streams) error {
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	if !(c.Minutes >= 0 && c.Minutes <= 1e4) || !(c.FalseAlarms >= 0) || !(c.Delay >= 0) {
		return usageError("--minutes must be in 0 to 10000, --false-alarms and --delay not negative")
	}
	if c.Measure && c.Out != "" {
		return usageError("--measure changes nothing that --out could write")
	}
	for _, path := range c.Det {
		if err := tuning.CheckDET(path); err != nil {
			return err
		}
	}
	if c.Out != "" {
		if err := atomicfile.Check(c.Out); err != nil {
			return err
		}
	}
	model, err := models.Open(c.Model)
	if err != nil {
		return modelError(err)
	}
	recognizer, err := polyphon.New(model, polyphon.WithThreads(1))
	if err != nil {
		return modelError(err)
	}
	defer recognizer.Close()
	material, err := c.material(model, s)
	if err != nil {
		return err
	}
	total := material.Seconds()
	bar := progress.New(s.Err, int(math.Ceil(total)), "train")
	bar.Describe("seconds of sound")
	note := material.Note
	material.Note = func(err error) { bar.Clear(); note(err) }
	tracks, err := tuning.Tracks(ctx, recognizer, material.Recordings(), func(at float64) { bar.Set(int(at)) })
	bar.Clear()
	if err != nil {
		return err
	}
	if c.Delay == 0 {
		c.Delay = math.Inf(1)
	}
	grid := []detect.Config{model.DetectionConfig()}
	if !c.Measure {
		grid = append(grid, tuning.Grid(model.DetectionConfig(), model.Window)...)
	}
	scores, err := tuning.Sweep(tracks, grid)
	if err != nil {
		return err
	}
	return c.report(s, model, scores)
}

// material returns what the recordings are made of.
func (c *tuneCmd) material(m *polynet.Model, s program.Streams) (*tuning.Material, error) {
	set, err := datasets.Open(c.Data, datasets.Options{Labels: m.Labels})
	if err != nil {
		return nil, err
	}
	clips := set.Split(splits[c.Split])
	if !slices.ContainsFunc(clips, func(it datasets.Item) bool {
		return !it.Silence && !detect.Background(m.Labels[it.Label])
	}) {
		return nil, fmt.Errorf("no clip of any of the model's words in %s (--split %s)", c.Data, c.Split)
	}
	return &tuning.Material{
		Labels: m.Labels, Rate: m.Features.Rate, Window: m.Window, Clips: clips,
		Backgrounds: c.Without, Recorded: c.Recordings, SNR: c.SNR, Minutes: c.Minutes, Seed: c.Seed,
		Note: func(err error) { safe.Fprintf(s.Err, "train: %v\n", err) },
	}, nil
}

// kindNames name the kinds of recordings in tune's report.
var kindNames = []string{
	tuning.Spoken: "among the words", tuning.OtherWord: "among other words", tuning.Wordless: "without words",
	tuning.Recorded: "in recordings with cue points",
}

// reportDelay is how many seconds after a word's end, and the model's lookahead, it should have been reported.
const reportDelay = 0.25

// count returns a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// minWords is how many words must be said for tune's figures not to come with a warning.
const minWords = 20

// report prints the table, and writes the curves and the model.
func (c *tuneCmd) report(s program.Streams, model *polynet.Model, scores []tuning.Score) error {
	limits := tuning.Limits{FalseAlarms: c.FalseAlarms, Delay: c.Delay}
	chosen, frontier := tuning.Choose(scores, limits), tuning.Frontier(scores)
	t := table{columns: "rrrddrrl"}
	t.row("smoothing", "min duration", "threshold", "false alarms/h", "misses %", "delay ms, median", "delay ms, 95 %")
	row := func(name string, r tuning.Score) {
		p := r.Config
		t.row(fixed(p.Smoothing, 0.01), fixed(p.MinDuration, 0.01), fixed(p.Threshold, 0.001),
			perHour(r.FalseAlarmsPerHour(), r.Hours), percent(100*r.MissRate(), r.Words),
			fixed(1000*r.Delay(0.5), 1), fixed(1000*r.Delay(0.95), 1), name)
	}
	row("the model's own", scores[0])
	if !c.Measure {
		for _, r := range frontier {
			row("", r)
		}
		row("chosen", chosen)
	}
	if err := t.write(s.Out); err != nil {
		return err
	}
	safe.Fprintf(s.Out, "%s and %s of sound\n", count(chosen.Words, "word"), progress.Duration(3600*chosen.Hours))
	limit := model.Net.Lookahead(model.Features).Seconds() + reportDelay
	detected := len(chosen.Delays) > 0
	if detected {
		safe.Fprintf(s.Out, "%s %% of the detected words were reported within %.0f ms after their end\n",
			percent(100*chosen.Within(limit), len(chosen.Delays)), 1000*limit)
	} else {
		fmt.Fprintln(s.Out, "no word was detected")
	}
	if chosen.Words < minWords {
		safe.Fprintf(s.Err, "train: fewer than %d words were said (%d): the figures are rough\n", minWords, chosen.Words)
	}
	for kind, part := range chosen.Parts {
		if part.Hours > 0 || kind != int(tuning.Recorded) {
			safe.Fprintf(s.Out, "%s %s in %s\n",
				count(part.FalseAlarms, "false alarm"), kindNames[kind], progress.Duration(3600*part.Hours))
		}
	}
	for _, path := range c.Det {
		if err := tuning.WriteDET(path, frontier, chosen); err != nil {
			return err
		}
	}
	if c.Out == "" {
		return nil
	}
	if !detected {
		return fmt.Errorf("no word was detected at the chosen operating point: %s is not written", c.Out)
	}
	if over, late := chosen.FalseAlarmsPerHour(), chosen.Delay(0.95); over > c.FalseAlarms || late > c.Delay {
		safe.Fprintf(s.Err, "train: no operating point keeps to --false-alarms and --delay; the one with the fewest "+
			"false alarms has %s an hour, and reports words after %.2f s\n", perHour(over, chosen.Hours), late)
	}
	tuned := *model
	tuned.Detection = &chosen.Config
	return tuned.Save(c.Out)
}
