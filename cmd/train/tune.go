package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"text/tabwriter"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/tuning"
)

type tuneCmd struct {
	Model       string   `help:"Model file, or an embedded model: base, the default, or small." placeholder:"FILE"`
	Data        string   `help:"Folder of recordings of the words, CLASS/*.wav." required:"" type:"path" placeholder:"DIR"`
	Without     []string `help:"Folders of recordings in which none of the words is said: backgrounds, and what must not trigger." required:"" type:"path" placeholder:"DIR"`
	Split       string   `help:"Part of the data: valid, test, train or all." enum:"test,valid,train,all" default:"valid"`
	SNR         float64  `name:"snr" help:"How much louder than the background the words are, in dB." default:"10"`
	Minutes     float64  `help:"Minutes of words outside the vocabulary, and of the recordings without words, at least." default:"60"`
	FalseAlarms float64  `help:"Most false alarms an hour." default:"0.5" placeholder:"N"`
	Delay       float64  `help:"Most seconds from a word's end to its event, for 95 % of the words heard; 0 is any number." default:"0" placeholder:"S"`
	Out         string   `help:"Write the model with the operating point that was chosen to this file." type:"path" placeholder:"FILE"`
	Measure     bool     `help:"Try no other operating point than the model's own."`
	Det         []string `help:"Write the curve of misses over false alarms to this file, .png or .svg." type:"path" placeholder:"FILE"`
	Seed        int64    `help:"Seed of the order and the pauses of words." default:"1"`
}

func (c *tuneCmd) Run(ctx context.Context, s streams) error {
	if !(c.Minutes >= 0 && c.Minutes <= 1e4) || !(c.FalseAlarms >= 0) || !(c.Delay >= 0) {
		return program.WithStatus(program.StatusUsage, errors.New("--minutes must be in 0 to 10000, --false-alarms and --delay not negative"))
	}
	if c.Measure && c.Out != "" {
		return program.WithStatus(program.StatusUsage, errors.New("--measure changes nothing that --out could write"))
	}
	model, err := models.Open(c.Model)
	if err != nil {
		return program.WithStatus(program.StatusModel, err)
	}
	single, err := device.CPU(1)
	if err != nil {
		return program.WithStatus(program.StatusModel, err)
	}
	classifier, err := polynet.NewClassifier(model, single)
	if err != nil {
		return program.WithStatus(program.StatusModel, err)
	}
	scenes, err := c.scenes(model, s)
	if err != nil {
		return err
	}
	tracks, err := listen(ctx, classifier, model.Labels, scenes)
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
	return c.tell(s, model, scores)
}

// soon is how many seconds after a word's end, and the model's lookahead, it should have been told.
const soon = 0.25

// tell prints the table, writes the curves and the model.
func (c *tuneCmd) tell(s streams, model *polynet.Model, scores []tuning.Score) error {
	chosen, frontier := tuning.Choose(scores, tuning.Limits{FalseAlarms: c.FalseAlarms, Delay: c.Delay}), tuning.Frontier(scores)
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "smoothing\tmin duration\tthreshold\tfalse alarms/h\tmisses %\tdelay ms, median\t95 %\t")
	row := func(name string, r tuning.Score) {
		fmt.Fprintf(t, "%.2f\t%.2f\t%.3f\t%.2f\t%.2f\t%.0f\t%.0f\t%s\n", r.Config.Smoothing, r.Config.MinDuration, r.Config.Threshold,
			r.FalseAlarmsPerHour(), 100*r.MissRate(), 1000*r.Delay(0.5), 1000*r.Delay(0.95), name)
	}
	row("the model's own", scores[0])
	if !c.Measure {
		for _, r := range frontier {
			row("", r)
		}
		row("chosen", chosen)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d words and %.2f hours of sound\n", chosen.Words, chosen.Hours)
	limit := model.Net.Lookahead(model.Features).Seconds() + soon
	fmt.Fprintf(s.out, "%.1f %% of the words heard were told within %.0f ms after their end\n", 100*chosen.Within(limit), 1000*limit)
	for i, where := range []string{tuning.Spoken: "among the words", tuning.OtherWord: "among other words", tuning.Wordless: "without words"} {
		fmt.Fprintf(s.out, "%d false alarms %s in %.2f hours\n", chosen.Parts[i].FalseAlarms, where, chosen.Parts[i].Hours)
	}
	for _, path := range c.Det {
		if err := tuning.WriteDET(path, frontier, chosen); err != nil {
			return err
		}
	}
	if c.Out == "" {
		return nil
	}
	if over, late := chosen.FalseAlarmsPerHour(), chosen.Delay(0.95); over > c.FalseAlarms || late > c.Delay {
		fmt.Fprintf(s.err, "train: no operating point keeps to --false-alarms and --delay; the one with the fewest gives %.2f an hour, and tells words in %.2f s\n",
			over, late)
	}
	tuned := *model
	tuned.Detection = &chosen.Config
	return tuned.Save(c.Out)
}

// scene is a recording with the words that are said in it.
type scene struct {
	sound audio.Clip
	words []tuning.Word
	holds tuning.Sound
}

// wordsInScene is how many words share a background.
const wordsInScene = 12

// scenes makes recordings of the words, of other words, and of neither.
func (c *tuneCmd) scenes(m *polynet.Model, s streams) ([]scene, error) {
	set, err := datasets.Open(c.Data, datasets.Options{Labels: m.Labels})
	if err != nil {
		return nil, err
	}
	backgrounds, err := c.backgrounds(m.Features.Rate, s)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(uint64(c.Seed), 1))
	words, others := c.clips(m, set, s)
	if len(words) == 0 {
		return nil, fmt.Errorf("%w: no words of the model in %s", datasets.ErrNoData, c.Data)
	}
	options := tuning.SceneOptions{
		Rate: m.Features.Rate, Pause: [2]float64{0.3, 1.5}, SNR: c.SNR, LeadIn: 2, Unspoken: detect.Background,
	}
	var list []scene
	add := func(clips []tuning.Clip, holds tuning.Sound) {
		sound, said := tuning.Scene(clips, backgrounds[rng.IntN(len(backgrounds))], options, rng)
		list = append(list, scene{sound, said, holds})
	}
	rng.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	for clips := range slices.Chunk(words, wordsInScene) {
		add(clips, tuning.Spoken)
	}
	for seconds := 0.0; seconds < 60*c.Minutes && len(others) > 0; seconds += list[len(list)-1].sound.Duration().Seconds() {
		rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		add(others[:min(len(others), wordsInScene)], tuning.OtherWord)
	}
	var noise audio.Clip
	for noise.Rate = m.Features.Rate; noise.Duration().Seconds() < 60*c.Minutes; {
		for _, b := range backgrounds {
			noise.Samples = append(noise.Samples, b...)
		}
	}
	return append(list, scene{sound: noise, holds: tuning.Wordless}), nil
}

// clips reads the split's recordings of the model's words, and of others.
func (c *tuneCmd) clips(m *polynet.Model, set *datasets.Set, s streams) (words, others []tuning.Clip) {
	for _, it := range set.Split(splits[c.Split]) {
		if it.Silence {
			continue
		}
		clip, err := audio.ReadFile(it.Path, m.Features.Rate)
		if err != nil {
			fmt.Fprintf(s.err, "train: skipped %v\n", err)
			continue
		}
		one := tuning.Clip{Label: m.Labels[it.Label], Samples: clip.Samples}
		if detect.Background(one.Label) {
			others = append(others, one)
		} else {
			words = append(words, one)
		}
	}
	return words, others
}

// backgrounds reads the recordings without words.
func (c *tuneCmd) backgrounds(rate int, s streams) ([][]float32, error) {
	var list [][]float32
	for _, dir := range c.Without {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !audio.IsAudio(path) {
				return err
			}
			clip, err := audio.ReadFile(path, rate)
			if err != nil {
				fmt.Fprintf(s.err, "train: skipped %v\n", err)
				return nil
			}
			list = append(list, clip.Samples)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: no recording below %v could be read", datasets.ErrNoData, c.Without)
	}
	return list, nil
}

// listen runs the model over the scenes, on all cores.
func listen(ctx context.Context, c *polynet.Classifier, labels []string, scenes []scene) ([]*tuning.Track, error) {
	tracks, errs := make([]*tuning.Track, len(scenes)), make([]error, len(scenes))
	var workers sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				if errs[i] = ctx.Err(); errs[i] == nil {
					tracks[i], errs[i] = tuning.Listen(c, labels, scenes[i].sound.Source(), scenes[i].words)
				}
				if tracks[i] != nil {
					tracks[i].Sound = scenes[i].holds
				}
			}
		})
	}
	for i := range scenes {
		next <- i
	}
	close(next)
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return tracks, nil
}
