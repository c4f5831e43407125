package main

import (
	"io"
	"time"

	"github.com/polyphon/polyphon/compress"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/polynet"
)

// narrowFlags are those of the passes that store weights in few bits.
type narrowFlags struct {
	Int8       bool          `name:"int8" help:"Store weights in 8 bits, and round what they multiply to 8."`
	Ternary    bool          `help:"Store weights as -1, 0 or 1, and round what they multiply to 8 bits."`
	Ends       string        `help:"${endsHelp}" enum:"auto,float32,narrow" default:"auto"`
	Refine     string        `help:"${refineHelp}" enum:"none,conntra,ste" default:"none"`
	Budget     time.Duration `help:"With --refine conntra: how long it searches." default:"10m" placeholder:"TIME"`
	Batch      int           `help:"With --refine conntra: clips of the cached batch." default:"256" placeholder:"N"`
	Group      int           `help:"${groupHelp}" default:"32" placeholder:"N"`
	Checkpoint string        `help:"${searchHelp}" type:"path" placeholder:"FILE"`
	Resume     bool          `help:"Continue the search in --checkpoint."`
	FoldNorms  bool          `name:"fold-norms" help:"${foldNormsHelp}"`
}

// steEpochs are the epochs of --refine ste without --finetune.
const steEpochs = 5

// check returns an error where a flag makes no sense.
func (f narrowFlags) check() error {
	switch {
	case f.Int8 && f.Ternary:
		return usageError("--int8 and --ternary exclude one another")
	case f.Batch < 1 || f.Group < 1 || f.Budget < 0:
		return usageError("--batch and --group must be positive and --budget must not be negative")
	case f.Refine != "conntra" && (f.Checkpoint != "" || f.Resume):
		return usageError("--checkpoint and --resume are about --refine conntra")
	case f.Resume && f.Checkpoint == "":
		return usageError("--resume needs --checkpoint")
	}
	return nil
}

// passes returns the passes of the flags for a model, which is the teacher where its weights are float32.
func (f narrowFlags) passes(m *polynet.Model, finetune finetuneFlags, work *compression) (list []compress.Pass) {
	if f.Int8 {
		list = append(list, &compress.Quantise{Weights: polynet.Int8, Ends: compress.Ends(f.Ends)})
	}
	if f.Ternary {
		list = append(list, &compress.Quantise{Weights: polynet.Ternary, Ends: compress.Ends(f.Ends)})
	}
	if f.Refine == "conntra" {
		c := &compress.CoNNTrA{
			Batch: f.Batch, Group: f.Group, Budget: f.Budget, Seed: finetune.Seed, File: f.Checkpoint, Resume: f.Resume,
			Round: searchProgress(work.console),
		}
		if m.Net.Narrow == nil {
			c.Teacher = m
		}
		list = append(list, c)
	}
	if f.Refine == "ste" && finetune.Finetune == 0 {
		finetune.Finetune = steEpochs
		list = append(list, finetuning{finetune, work})
	}
	return list
}

// searchProgress prints a line for each round.
func searchProgress(w io.Writer) func(pass, round, rounds int, loss float64) {
	return func(pass, round, rounds int, loss float64) {
		safe.Fprintf(w, "train: pass %d, round %d of %d: loss %.4f\n", pass, round, rounds, loss)
	}
}
