package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

type networkFlags struct {
	Arch    kindFlag           `help:"Kind of blocks; see above. Default: pi-relu." enum:",${kinds}" default:"" placeholder:"KIND"`
	Degree  int                `help:"${degreeHelp}" default:"0"`
	Expand  int                `name:"expansion" help:"${expansionHelp}" default:"0"`
	Stem    *stemFlag          `help:"${stemHelp}" placeholder:"W:K:A:S"`
	Stages  []stageFlag        `help:"${stagesHelp}" placeholder:"W:B:K:A:S"`
	Dropout *float64           `help:"Probability of zeroing a pooled feature. Default: ${dropout}." placeholder:"P"`
	Weights *polynet.Precision `help:"${weightsHelp}" placeholder:"KIND"`
	Ends    string             `help:"${fitEndsHelp}" enum:"float32,narrow" default:"float32"`
}

type trainingFlags struct {
	Steps     int          `help:"${stepsHelp}" default:"0"`
	Epochs    int          `help:"Passes over the training clips, instead of --steps." default:"0"`
	Keep      string       `help:"${keepHelp}" enum:"auto,best,last" default:"auto"`
	Patience  *int         `help:"${patienceHelp}" placeholder:"EPOCHS"`
	Batch     int          `help:"Clips in an optimiser step. Default: 100, fewer for small data sets." default:"0"`
	Optimizer string       `help:"sgd (Nesterov momentum ${momentum}) or adamw." enum:"sgd,adamw" default:"${optimizer}"`
	LR        float64      `help:"${lrHelp}" default:"0"`
	Warmup    float64      `help:"Epochs over which the learning rate rises." default:"${warmup}"`
	Schedule  scheduleFlag `help:"${scheduleHelp}" default:"cosine"`
	Decay     float64      `help:"Weight decay. Default: 0.0005 for sgd, 0.05 for adamw." default:"${decay}"`
	Clip      float64      `help:"Limit of the gradient's norm; 0 turns it off." default:"${clip}"`
	Loss      string       `help:"${lossHelp}" enum:"${losses}" default:"${loss}" placeholder:"LOSS"`
	Gamma     *gammaFlag   `help:"${gammaHelp}" placeholder:"G"`
	P0        float64      `name:"p0" help:"Probability for --gamma auto." default:"0.25" placeholder:"P"`
	Smoothing float64      `help:"Label smoothing, with --loss ls." default:"${smoothing}"`
	EMA       float64      `help:"Decay of the average of weights that is kept; 0 turns it off." default:"${ema}"`
	Balance   *float64     `help:"${balanceHelp}" placeholder:"SHARE"`
	Mixup     *float64     `help:"${mixupHelp}" placeholder:"A"`
	L1        float64      `name:"l1" help:"${l1Help}" placeholder:"X"`
	Adversary float64      `name:"adversarial" help:"${adversarialHelp}" placeholder:"EPS"`
	Seed      int64        `help:"Seed of everything random." default:"${seed}"`
	Threads   int          `help:"Threads; 0 is one per core." default:"0"`

	Calibrate bool `help:"${calibrateHelp}" default:"true" negatable:""`

	From      string   `help:"${fromHelp}" placeholder:"MODEL"`
	FromRate  *float64 `help:"${fromRateHelp}" placeholder:"SHARE"`
	FromNorms string   `help:"${fromNormsHelp}" enum:"keep,new" default:"keep"`

	Live bool `help:"${learnLiveHelp}"`
	Mine int  `help:"${mineHelp}" default:"0" placeholder:"N"`

	Teacher       []string `help:"${teacherHelp}" placeholder:"MODEL"`
	DistillWeight float64  `name:"taught" help:"${taughtHelp}" default:"${taught}"`
}

type soundFlags struct {
	Features  string       `help:"${featuresHelp}" enum:"default,square32" default:"default"`
	Window    float64      `help:"${windowHelp}" placeholder:"SECONDS"`
	Hop       float64      `help:"${hopHelp}" placeholder:"SECONDS"`
	Context   *contextFlag `help:"${contextHelp}" placeholder:"B:A"`
	InContext *float64     `help:"${inContextHelp}" placeholder:"SHARE"`
	Fluent    float64      `help:"${fluentShareHelp}" default:"${fluent}"`
	Limit     float64      `help:"Bound of normalised features, in deviations; 0 turns it off." default:"${limit}"`
	Noise     []string     `help:"${noiseHelp}" type:"path" placeholder:"DIR"`
	Noisy     *float64     `name:"noise-share" help:"${noiseShareHelp}" placeholder:"P"`
	SNR       *rangeFlag   `name:"snr" help:"${snrHelp}" placeholder:"LOW:HIGH"`
	Negatives []string     `help:"${negativesHelp}" type:"path" placeholder:"DIR"`
	Extra     []string     `help:"${extraHelp}" type:"path" placeholder:"DIR"`
	Augment   string       `help:"${augmentHelp}" enum:"speech,light,papers,none" default:"speech"`
	Unknown   float64      `help:"Share of _unknown_ clips, relative to the words' clips; few are repeated." default:"0.1"`
	Negative  float64      `name:"negative-share" help:"Share of examples cut from --negatives, ditto." default:"0.5"`
	Silence   float64      `help:"Share of _silence_ examples cut from _background_noise_, ditto." default:"0.1"`
}

// config returns the recipe for data of these facts, with the flags' settings where they are given, and what it chose
// where they are not. from is the model to begin with, or nil.
func (c *fitCmd) config(f training.Facts, from *polynet.Model) (training.Config, []training.Choice, error) {
	cfg, choices := f.Recipe()
	t, s, given := c.Training, c.Sound, map[string]bool{}
	cfg.Features, cfg.Window, cfg.ClampSigma = featurePresets[s.Features](), s.Window, s.Limit
	if from != nil {
		cfg.Net = from.Net
	}
	given["arch"] = c.Network.override(&cfg.Net)
	if t.Steps > 0 || t.Epochs > 0 {
		cfg.Steps, cfg.Epochs, given["steps"] = t.Steps, t.Epochs, true
	}
	cfg.Batch, cfg.Optimizer = t.Batch, training.OptimizerKind(t.Optimizer)
	if t.LR != 0 || t.Batch != 0 || cfg.Optimizer != training.SGD { // the recipe's rate is for its batch
		cfg.Rate, given["lr"] = t.LR, true
	}
	cfg.Warmup, cfg.LRMilestones, cfg.Decay, cfg.Clip = t.Warmup, t.Schedule.epochs, t.Decay, t.Clip
	cfg.Loss = training.LossKind(t.Loss)
	if err := t.gamma(&cfg); err != nil {
		return cfg, nil, err
	}
	cfg.Smoothing, cfg.EMA = t.Smoothing, t.EMA
	given["balance"], given["mixup"] = replace(&cfg.Balance, t.Balance), replace(&cfg.Mixup, t.Mixup)
	given["patience"], given["from-rate"] = replace(&cfg.Patience, t.Patience), replace(&cfg.FromRate, t.FromRate)
	if t.Keep != "auto" {
		cfg.KeepLast, given["keep"] = t.Keep == "last", true
	}
	if t.FromNorms == "new" {
		cfg.FromNorms, given["from-norms"] = false, true
	}
	cfg.L1, cfg.Adversarial = t.L1, t.Adversary
	cfg.Seed, cfg.DistillWeight, cfg.Live, cfg.Mine = t.Seed, t.DistillWeight, t.Live, t.Mine
	cfg.Augment, cfg.Mask = training.Augmentation(training.AugmentKind(s.Augment))
	replace(&cfg.Augment.Noise, s.Noisy)
	replace(&cfg.Augment.SNR, (*[2]float64)(s.SNR))
	given["in-context"] = replace(&cfg.Context.Share, s.InContext)
	if s.InContext == nil && (t.Live || s.Context != nil || len(s.Negatives) > 0) { // which are about live sound
		cfg.Context.Share, given["in-context"] = recipe.Context.Share, true
	}
	if cfg.Context.Fluent = s.Fluent; s.Context != nil {
		cfg.Context.Before, cfg.Context.After = s.Context.before, s.Context.after
	}
	return cfg, slices.DeleteFunc(choices, func(c training.Choice) bool { return given[c.Setting] }), nil
}

// replace sets dst to a flag's value, where it is given, and reports whether it is.
func replace[T any](dst, flag *T) (given bool) {
	if flag != nil {
		*dst = *flag
	}
	return flag != nil
}

// gamma sets the gamma of a focal loss, where it is given.
func (f trainingFlags) gamma(cfg *training.Config) (err error) {
	switch {
	case f.Gamma == nil:
		return nil
	case !cfg.Loss.UsesGamma():
		return usageError("--gamma is about --loss focal and dual")
	case *f.Gamma == gammaAuto:
		cfg.Gamma, err = training.FocalGamma(f.P0)
		return err
	}
	cfg.Gamma = float64(*f.Gamma)
	return nil
}

// from opens the model of --from, if any.
func (f trainingFlags) from() (*polynet.Model, error) {
	if f.From == "" || f.From == "none" {
		return nil, nil
	}
	m, err := models.Open(f.From)
	if err != nil {
		return nil, modelError(fmt.Errorf("--from: %w", err))
	}
	return m, nil
}

// openTeachers opens the models of --teacher.
func openTeachers(names []string) (list []*polynet.Model, err error) {
	for _, name := range names {
		m, err := models.Open(name)
		if err != nil {
			return nil, modelError(fmt.Errorf("--teacher: %w", err))
		}
		list = append(list, m)
	}
	return list, nil
}

var featurePresets = map[string]func() features.Config{"default": features.Default, "square32": features.Square32}

// override sets what the flags say of a network, and reports whether they say anything.
func (f networkFlags) override(c *polynet.Config) (given bool) {
	given = replace(&c.Dropout, f.Dropout)
	if f.Arch != "" {
		c.Block, given = polynet.BlockKind(f.Arch), true
	}
	if f.Degree != 0 || f.Expand != 0 {
		c.Degree, c.Expansion, given = f.Degree, f.Expand, true
	}
	if c.Degree == 0 && c.Block.Decomposition() {
		c.Degree = training.DefaultDegree
	}
	if s := f.Stem; s != nil {
		c.Stem, given = polynet.Stem{Width: s[0], Kernel: s[1], Ahead: s[2], Stride: s[3]}, true
	}
	if len(f.Stages) > 0 {
		c.Stages, given = nil, true
	}
	if f.Weights != nil {
		if c.Narrow = nil; *f.Weights != polynet.Float32 {
			narrow := f.Ends == "narrow"
			c.Narrow = &polynet.Narrow{Weights: *f.Weights, Stem: narrow, Head: narrow}
		}
	}
	for _, s := range f.Stages {
		c.Stages = append(c.Stages, polynet.Stage{Width: s[0], Blocks: s[1], Kernel: s[2], Ahead: s[3], Stride: s[4]})
	}
	return given
}

// stemFlag and stageFlag are the numbers in polynet.Stem and polynet.Stage, in the order of their fields.
type (
	stemFlag  [4]int
	stageFlag [5]int
)

// UnmarshalText parses numbers between colons.
func (f *stemFlag) UnmarshalText(text []byte) error { return parseNumbers(f[:], string(text)) }

// UnmarshalText parses numbers between colons.
func (f *stageFlag) UnmarshalText(text []byte) error { return parseNumbers(f[:], string(text)) }

func parseNumbers(numbers []int, text string) (err error) {
	parts := strings.Split(text, ":")
	if len(parts) != len(numbers) {
		return fmt.Errorf("%q has %d numbers between colons instead of %d", text, len(parts), len(numbers))
	}
	for i, part := range parts {
		if numbers[i], err = strconv.Atoi(part); err != nil {
			return fmt.Errorf("%q: %q is not a whole number", text, part)
		}
	}
	return nil
}

// scheduleFlag is the epochs that divide the learning rate; none for the cosine.
type scheduleFlag struct{ epochs []int }

// UnmarshalText parses cosine, or steps:EPOCH,....
func (f *scheduleFlag) UnmarshalText(text []byte) error {
	if string(text) == "cosine" {
		return nil
	}
	list, found := strings.CutPrefix(string(text), "steps:")
	for text := range strings.SplitSeq(list, ",") {
		epoch, err := strconv.Atoi(text)
		if err != nil || !found {
			return errors.New("neither cosine nor steps: with epochs, separated by commas")
		}
		f.epochs = append(f.epochs, epoch)
	}
	return nil
}

// gammaFlag is a gamma of focal losses.
type gammaFlag float64

// gammaAuto stands for the gamma that follows from --p0.
const gammaAuto gammaFlag = -1

// UnmarshalText parses a number or auto.
func (f *gammaFlag) UnmarshalText(text []byte) error {
	if *f = gammaAuto; string(text) == "auto" {
		return nil
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(v >= 0) {
		return fmt.Errorf("%q is neither auto nor a number from 0 on", text)
	}
	*f = gammaFlag(v)
	return nil
}

// parsePair parses two numbers with a colon between.
func parsePair(text string) (first, second float64, err error) {
	a, b, _ := strings.Cut(text, ":")
	if first, err = strconv.ParseFloat(a, 64); err == nil {
		second, err = strconv.ParseFloat(b, 64)
	}
	return first, second, err
}

// rangeFlag is two numbers, the lower one first.
type rangeFlag [2]float64

// UnmarshalText parses LOW:HIGH.
func (f *rangeFlag) UnmarshalText(text []byte) (err error) {
	if f[0], f[1], err = parsePair(string(text)); err != nil || !(f[0] <= f[1]) {
		return fmt.Errorf("%q is not two numbers, LOW:HIGH", text)
	}
	return nil
}

// contextFlag is seconds of other sound around a window.
type contextFlag struct{ before, after float64 }

// UnmarshalText parses BEFORE:AFTER.
func (f *contextFlag) UnmarshalText(text []byte) (err error) {
	f.before, f.after, err = parsePair(string(text))
	if err != nil || f.after < 0 { // which stands for the network's lookahead
		return fmt.Errorf("%q is not two numbers of seconds, BEFORE:AFTER", text)
	}
	return nil
}
