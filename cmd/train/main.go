// Command train fits polynomial networks to recordings and says what a model is and how good it is.
//
//	train fit  --data DIR --out model.safetensors
//	train eval [--model M] --data DIR [--split test]
//	train tune [--model M] --data DIR --without DIR --out M
//	train info [M]
//	train export --onnx OUT [--with-features] [M]
//	train import --safetensors W | --onnx W --out model.safetensors
package main

import (
	"context"
	"io"
	"os"

	"github.com/alecthomas/kong"
	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

type cli struct {
	Fit        fitCmd             `cmd:"" help:"Train a model on a folder of recordings."`
	Eval       evalCmd            `cmd:"" help:"Measure a model on a folder of recordings."`
	Tune       tuneCmd            `cmd:"" help:"Find the operating point at which a model hears words in live sound."`
	Info       infoCmd            `cmd:"" help:"Say what a model is."`
	Export     exportCmd          `cmd:"" help:"Write a model in another format."`
	Import     importCmd          `cmd:"" help:"Make a model of weights trained with PyTorch."`
	Completion program.Completion `cmd:"" help:"Print the script that completes command lines in a shell; its first line says where it belongs."`
	Man        program.Manual     `cmd:"" help:"Print the manual page."`
	Version    kong.VersionFlag   `help:"Print the version and exit."`
}

var this = program.Program{
	Name: "train",
	Does: "Fits polynomial networks to recordings, says what a model is and how good it is, and exchanges models with other programs.",
	Statuses: [][2]string{
		{"0", "The work is done."},
		{"1", "The work failed."},
		{"2", "Wrong usage."},
		{"3", "The model or the device cannot be used."},
		{"130", "Interrupted; train fit --resume goes on."},
	},
	Environment: computing.Environment,
	Examples: [][2]string{
		{"train fit --data recordings --out mine.safetensors", "Train on a folder with one folder a class"},
		{"train eval --model mine.safetensors --data recordings", "Measure the model on the clips that it was not trained on"},
	},
	Usage: []error{training.ErrConfig, polynet.ErrConfig, datasets.ErrOptions},
}

// streams are where a command reads and writes.
type streams struct {
	out, err io.Writer
}

func main() {
	program.Main(func(ctx context.Context, args []string) int {
		return run(ctx, args, streams{out: os.Stdout, err: os.Stderr})
	})
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, s streams) int {
	return this.Run(ctx, args, s.out, s.err, &cli{}, s)
}
