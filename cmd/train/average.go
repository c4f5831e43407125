package main

import (
	"slices"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

type averageCmd struct {
	Models []string     `arg:"" name:"model" help:"${averagedHelp}" placeholder:"MODEL"`
	Out    string       `help:"Model file to write." required:"" type:"path" placeholder:"FILE"`
	Source []sourceFlag `help:"${sourceHelp}" sep:"none" placeholder:"NAME: LICENCE, ATTRIBUTION"`
}

func (c *averageCmd) Run(s program.Streams) error {
	if err := atomicfile.Check(c.Out); err != nil {
		return err
	}
	var list []*polynet.Model
	var sources []polynet.Source
	add := func(source polynet.Source) {
		if !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	for _, name := range c.Models {
		m, err := models.Open(name)
		if err != nil {
			return modelError(err)
		}
		list = append(list, m)
		for _, source := range m.Provenance.Sources {
			add(source)
		}
	}
	for _, source := range c.Source {
		add(polynet.Source(source))
	}
	mean, err := training.Average(list)
	if err != nil {
		return err
	}
	mean.Provenance = polynet.Provenance{
		Command: commandLine(), Data: mean.Provenance.Data, Sources: sources, Seed: mean.Provenance.Seed,
		Commit: program.Commit(), Created: time.Now().UTC().Format(time.RFC3339), Parameters: mean.Net.Program().Parameters(),
	}
	if err := mean.Save(c.Out); err != nil {
		return err
	}
	safe.Fprintf(reportTo(s, c.Out), "%s: the mean of %d models; train calibrate and train tune should follow\n",
		c.Out, len(list))
	return nil
}
