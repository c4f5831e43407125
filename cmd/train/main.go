// Command train fits polynomial networks to recordings, and measures, tunes, describes and exchanges models.
//
//	train check --data DIR [--html FILE]
//	train fit  --data DIR --out model.safetensors
//	train eval [--model M] --data DIR [--split test] [--live --without DIR]
//	train tune [--model M] --data DIR --without DIR --out M
//	train enroll --word NAME CLIP... --out M
//	train wake --word NAME --positives DIR --negatives DIR --out M
//	train calibrate [--model M] --data DIR --out M
//	train average M1 M2... --out M
//	train compress [--model M] --data DIR --out M
//	train certify [--model M] --data DIR --gain DB --noise DB
//	train regions [--model M] --data DIR
//	train report [--model M] --data DIR --out DIR
//	train review CLIPS --into DIR
//	train info [M]
//	train export --onnx OUT [--with-features] [M]
//	train import --safetensors W | --onnx W --out model.safetensors
package main

import (
	"fmt"

	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

type commands struct {
	Check     checkCmd     `cmd:"" help:"Say what a folder of recordings holds, and how fit would train on it."`
	Fit       fitCmd       `cmd:"" help:"Train a model on a folder of recordings."`
	Eval      evalCmd      `cmd:"" help:"Measure a model on a folder of recordings."`
	Tune      tuneCmd      `cmd:"" help:"Find the operating point at which a model detects words in live sound."`
	Enroll    enrollCmd    `cmd:"" help:"Make a detector of words of a few clips each, in seconds."`
	Wake      wakeCmd      `cmd:"" help:"Make a wake word of a few clips, for a stated number of false alarms an hour."`
	Calibrate calibrateCmd `cmd:"" help:"Make a model's probabilities agree with how often it is right."`
	Average   averageCmd   `cmd:"" help:"Make the mean of models that were trained from one another."`
	Compress  compressCmd  `cmd:"" help:"Make a smaller or simpler model of a trained one."`
	Certify   certifyCmd   `cmd:"" help:"Prove for which clips the answer stays the same when gain and features change."`
	Regions   regionsCmd   `cmd:"" help:"Count into how many linear pieces a network cuts its inputs."`
	Report    reportCmd    `cmd:"" help:"Write a page of figures, pictures and the worst errors of a model."`
	Review    reviewCmd    `cmd:"" help:"Listen to clips in a browser, and file them into folders to train on."`
	Info      infoCmd      `cmd:"" help:"Describe a model."`
	Export    exportCmd    `cmd:"" help:"Write a model in another format."`
	Import    importCmd    `cmd:"" help:"Make a model of weights trained with PyTorch."`
	program.Commands
}

var this = program.Program{
	Name: "train",
	Does: "Fits polynomial networks to recordings, describes and measures models, and exchanges them with other programs.",
	Statuses: [][2]string{
		{"0", "The work is done."},
		{"1", "The work failed."},
		{"2", "Wrong usage."},
		{"3", "The model or the device cannot be used."},
		{"4", "train tune: the operating point is too doubtful to be stored; --force stores it."},
		{"130", "Interrupted; train fit --resume continues. A second signal ends it at once."},
	},
	Environment: computing.Environment,
	Examples: [][2]string{
		{"train fit --data recordings --out mine.safetensors", "Train on a folder with one folder a class"},
		{
			"train eval --model mine.safetensors --data recordings",
			"Measure the model on the clips that it was not trained on",
		},
		{
			"train eval --live --model mine.safetensors --data recordings --without speech,street --under street",
			"Count false alarms in speech and in the street, and misses of words in the street's noise",
		},
	},
	Texts: texts,
	Usage: []error{training.ErrConfig, polynet.ErrConfig, datasets.ErrOptions},
}

func main() { this.Main(&commands{}) }

// usageError returns an error that ends the program with program.StatusUsage.
func usageError(format string, args ...any) error {
	return program.WithStatus(program.StatusUsage, fmt.Errorf(format, args...))
}

// modelError returns err, which may be nil, as one that ends the program with program.StatusModel.
func modelError(err error) error { return program.WithStatus(program.StatusModel, err) }
