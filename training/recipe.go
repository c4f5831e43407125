package training

import (
	"fmt"
	"slices"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/polynet"
)

// Facts are what a recipe follows from.
type Facts struct {
	Clips        int     // for training, without _silence_ and negatives
	Fewest, Most int     // training clips of a label, without _silence_
	Valid        int     // validation clips
	Seconds      float64 // the window
	From         bool    // the run begins with a trained model
	NewHead      bool    // and that has other labels
}

// FactsOf returns the facts about a data set that is learnt in windows of so many seconds, from a model or nil.
func FactsOf(set *datasets.Set, seconds float64, from *polynet.Model) Facts {
	f := Facts{Seconds: seconds, From: from != nil}
	f.NewHead = f.From && !slices.EqualFunc(from.Labels, set.Labels, datasets.SameLabel)
	counts := make([]int, len(set.Labels))
	for _, it := range set.Items {
		switch {
		case it.Silence || it.Negative || set.Labels[it.Label] == detect.SilenceLabel:
		case it.Split == datasets.Train:
			counts[it.Label]++
		case it.Split == datasets.Valid:
			f.Valid++
		}
	}
	for _, n := range counts {
		if n == 0 {
			continue // _silence_
		}
		f.Clips += n
		f.Most = max(f.Most, n)
		if f.Fewest == 0 || n < f.Fewest {
			f.Fewest = n
		}
	}
	return f
}

// Choice is what a recipe chose for a setting, and why.
type Choice struct {
	Setting string `json:"setting"` // the name of the flag of train fit
	Value   string `json:"value"`
	Reason  string `json:"reason"`
}

// The bounds between kinds of data. bench/recipe/NOTES.md has the measurements.
const (
	fewClips   = 3000 // below: a small network, mixup
	shortSound = 2.0  // seconds; longer windows are learnt without sound around them
	uneven     = 3    // times as many clips of one label as of another
	minChoose  = 50   // validation clips by which an epoch is chosen
	minStop    = 200  // validation clips by which a run is ended
)

// fewClipsNet is the network for few clips.
var fewClipsNet = polynet.Config{
	Block: polynet.PiReLU, Stem: polynet.Stem{Width: 32, Kernel: 5, Ahead: 1, Stride: 2}, Dropout: 0.15,
	Stages: []polynet.Stage{
		{Width: 48, Blocks: 1, Kernel: 5, Ahead: 2, Stride: 2},
		{Width: 64, Blocks: 1, Kernel: 5, Ahead: 1, Stride: 2},
		{Width: 96, Blocks: 1, Kernel: 5, Ahead: 0, Stride: 2},
	},
}

// Recipe returns the Config that suits such data, and its choices: Default with the network's size and blocks, steps,
// mixup, context, balance and which epoch is kept chosen. Batch, learning rate and the rest are left to WithData.
func (f Facts) Recipe() (Config, []Choice) {
	c := Default()
	var choices []Choice
	choose := func(setting, value, reason string, args ...any) {
		choices = append(choices, Choice{setting, value, fmt.Sprintf(reason, args...)})
	}
	few := f.Clips < fewClips
	c.Epochs = 0
	switch {
	case f.From:
		c.Steps, c.FromRate, c.FromNorms, c.Mixup = min(max(2*f.Clips, 300), 2000), 1, true, 0.3
		if f.NewHead {
			c.FromRate = 0.1
			choose("from-rate", "0.1", "the model's layers are kept, the head is new")
		}
		choose("from-norms", "keep", "the model's norms have seen more than these clips")
	case few:
		c.Net, c.Steps, c.Mixup = fewClipsNet, min(max(20*f.Clips, 1200), 5000), 0.3
		choose("arch", "pi-relu, small", "%d training clips are fewer than %d", f.Clips, fewClips)
		if f.Seconds <= shortSound {
			c.Rate = 0.05
			choose("lr", "0.05", "few short clips")
		}
	default:
		c.Net.Block, c.Steps = polynet.PiReLU, min(max(6*f.Clips/10, 5000), 30000)
		choose("arch", "pi-relu, a million parameters", "%d training clips", f.Clips)
	}
	choose("steps", fmt.Sprint(c.Steps), "for %d training clips", f.Clips)
	if c.Mixup > 0 {
		choose("mixup", fmt.Sprint(c.Mixup), "few clips")
	}
	if f.Seconds > shortSound {
		c.Context.Share = 0
		choose("in-context", "0", "windows of %g s are learnt alone", f.Seconds)
	} else {
		choose("in-context", fmt.Sprint(c.Context.Share), "sounds of at most %g s are found in live sound", shortSound)
	}
	if f.Fewest > 0 && f.Most >= uneven*f.Fewest {
		c.Balance = 1
		choose("balance", "1", "a label has %d training clips, another %d", f.Most, f.Fewest)
	}
	switch {
	case f.Valid < minChoose:
		c.KeepLast = true
		choose("keep", "last", "%d validation clips are too few to choose an epoch by", f.Valid)
	case f.Valid >= minStop:
		c.Patience = 20
		choose("patience", "20", "%d validation clips say when a network no longer gets better", f.Valid)
	}
	return c, choices
}
