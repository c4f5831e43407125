package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/training"
)

type fitCmd struct {
	Data   string   `help:"Folder of recordings: CLASS/*.wav, or the layout of Google Speech Commands." required:"" type:"path" placeholder:"DIR"`
	Out    string   `help:"Model file to write. The checkpoint lies beside it, as FILE.checkpoint." required:"" type:"path" placeholder:"FILE"`
	Words  []string `help:"Words to learn, separated by commas; the other folders become _unknown_. Without it, every folder is a label." placeholder:"WORD"`
	Resume bool     `help:"Continue from the checkpoint, where there is one."`
	Log    string   `help:"Write one line of figures an epoch to this CSV file." type:"path" placeholder:"FILE"`

	Computing computing.Flags `embed:""`

	Network  networkFlags  `embed:"" group:"Network:"`
	Training trainingFlags `embed:"" group:"Training:"`
	Sound    soundFlags    `embed:"" group:"Sound:"`
}

type networkFlags struct {
	Arch    string   `help:"Kind of the blocks, see above." enum:"linear,relu,pi,pi-relu,pi1x1,pi1x1-relu,pi-tanh,ccp,ncp,ncp-skip,rpoly,dpoly" default:"pi" placeholder:"KIND"`
	Degree  int      `help:"Degree of each block's polynomial, 2 to 16, where the kind has one to choose. Default: 3." default:"0"`
	Stem    string   `help:"First convolution, WIDTH:KERNEL:AHEAD:STRIDE." default:"64:5:1:1" placeholder:"W:K:A:S"`
	Stages  []string `help:"Stages of residual blocks, each WIDTH:BLOCKS:KERNEL:AHEAD:STRIDE." default:"64:3:5:2:2,96:3:5:1:2,144:3:5:0:2" placeholder:"W:B:K:A:S"`
	Dropout float64  `help:"Probability of zeroing a pooled feature." default:"0.15"`
}

type trainingFlags struct {
	Epochs    int     `help:"Passes over the training clips." default:"60"`
	Batch     int     `help:"Clips in an optimiser step. Default: 100, fewer for small data sets." default:"0"`
	Optimizer string  `help:"sgd (with Nesterov momentum 0.9) or adamw." enum:"sgd,adamw" default:"sgd"`
	LR        float64 `name:"lr" help:"Peak learning rate. Default: 0.002 a clip of the batch for sgd, 0.003 for adamw." default:"0"`
	Warmup    float64 `help:"Epochs over which the learning rate rises." default:"2"`
	Schedule  string  `help:"What follows: cosine, to zero, or steps:EPOCH,..., the epochs behind which the rate falls to a tenth." default:"cosine"`
	Decay     float64 `help:"Weight decay. Default: 0.0005 for sgd, 0.05 for adamw." default:"-1"`
	Clip      float64 `help:"Limit of the gradient's norm; 0 turns it off." default:"2"`
	Smoothing float64 `help:"Label smoothing." default:"0.1"`
	EMA       float64 `name:"ema" help:"Decay of the weights' moving average, which is what is kept; 0 turns it off." default:"0.998"`
	Balance   float64 `help:"Evens out how often labels are seen: 0 as they come, 1 equally often." default:"0.5"`
	Mixup     float64 `help:"Mix the clips of a batch in proportions drawn from Beta(A, A); 0 turns it off." default:"0" placeholder:"A"`
	Seed      int64   `help:"Seed of everything random." default:"1"`
	Threads   int     `help:"Threads; 0 is one per core." default:"0"`

	Teacher []string `help:"Trained models whose mean answers are learnt too (distillation), separated by commas. They know the same labels." placeholder:"FILE"`
	Taught  float64  `help:"Share of the teachers' answers in what is learnt." default:"0.7"`
}

type soundFlags struct {
	Features  string   `help:"Frames: default (30 ms every 10 ms, 40 mels) or square32 (the papers' 32 by 32)." enum:"default,square32" default:"default"`
	Window    float64  `help:"Seconds of sound in one decision. Default: the longest clip, at most 10 s." default:"0" placeholder:"SECONDS"`
	Context   string   `help:"Seconds of other sound before and behind the window, BEFORE:AFTER, in which live sound is learnt. Default: up to 1.5 before, and the network's lookahead behind." placeholder:"B:A"`
	InContext float64  `help:"Share of the batches that are learnt in such a context; 0 learns clips alone, as blocks that cannot hear live sound always do." default:"0.5"`
	Limit     float64  `help:"Deviations from the mean within which features are held; 0 turns it off." default:"4"`
	Noise     []string `help:"Folders of more recordings without words, which are mixed in and become _silence_, separated by commas." type:"path" placeholder:"DIR"`
	Extra     []string `help:"Folders of more recordings to train on, CLASS/*.wav, separated by commas; other words in them become _unknown_." type:"path" placeholder:"DIR"`
	Augment   string   `help:"Augmentation of the recordings: speech, light, papers (as R-PolyNets' authors) or none." enum:"speech,light,papers,none" default:"speech"`
	Unknown   float64  `help:"Share of _unknown_ clips, relative to the words' clips." default:"0.1"`
	Silence   float64  `help:"Share of _silence_ examples cut from _background_noise_, ditto." default:"0.1"`
}

func (c *fitCmd) Run(ctx context.Context, s streams) (err error) {
	cfg, err := c.config()
	if err != nil {
		return program.WithStatus(program.StatusUsage, err)
	}
	if c.Training.Threads < 0 {
		return program.WithStatus(program.StatusUsage, fmt.Errorf("--threads must not be negative"))
	}
	if _, err := os.Stat(filepath.Dir(c.Out)); err != nil {
		return err // now, and not after the first epoch
	}
	dev, err := c.Computing.Open(c.Training.Threads)
	if err != nil {
		return program.WithStatus(program.StatusModel, err)
	}
	if dev.Note != "" {
		fmt.Fprintf(s.err, "train: %s\n", dev.Note)
	}
	defer func() { err = errors.Join(err, program.WithStatus(program.StatusModel, dev.Close())) }()
	set, err := datasets.Open(c.Data, datasets.Options{
		Words: c.Words, Unknown: c.Sound.Unknown, Silence: c.Sound.Silence, Noise: c.Sound.Noise, Extra: c.Sound.Extra,
		Seed: cfg.Seed,
	})
	if err != nil {
		return err
	}
	for _, note := range set.Notes {
		fmt.Fprintf(s.err, "train: %s\n", note)
	}
	if err := c.complete(&cfg, set); err != nil {
		return err
	}
	teachers, err := c.Training.teachers()
	if err != nil {
		return program.WithStatus(program.StatusModel, err)
	}
	t, err := training.New(ctx, cfg, set, dev, c.Training.Threads, teachers...)
	if err != nil {
		return err
	}
	defer t.Close()
	checkpoint := c.Out + ".checkpoint"
	if err := c.resume(t, checkpoint, s); err != nil {
		return err
	}
	progress, err := newProgress(s, c.Log, t.History())
	if err != nil {
		return err
	}
	defer progress.close()
	defer func() { warnSkipped(s.err, t.Skipped()) }()
	m, err := t.Run(ctx, checkpoint, training.Observer{Step: progress.step, Epoch: progress.epoch})
	if err != nil {
		if errors.Is(err, context.Canceled) && len(t.History()) > 0 {
			fmt.Fprintf(s.err, "train: %d epochs are kept in %s; --resume continues\n", len(t.History()), checkpoint)
		}
		return err
	}
	m.Provenance.Command, m.Provenance.Commit = commandLine(), program.Commit()
	if err := m.Save(c.Out); err != nil {
		return err
	}
	best := m.Provenance
	fmt.Fprintf(s.out, "%s: %d parameters, epoch %d of %d, %.2f %% on the validation clips\n",
		c.Out, best.Parameters, best.BestEpoch, best.Epochs, best.Metrics["valid_accuracy"])
	return nil
}

// resume continues from the checkpoint where --resume asks for it and there is one.
func (c *fitCmd) resume(t *training.Trainer, path string, s streams) error {
	if !c.Resume {
		return nil
	}
	found, err := t.Resume(path)
	if err == nil && !found {
		fmt.Fprintf(s.err, "train: there is no %s; starting anew\n", path)
	}
	return err
}

// commandLine returns what was typed, with the program's name alone in front.
func commandLine() string {
	return strings.Join(append([]string{"train"}, os.Args[1:]...), " ")
}
