package main

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
	"io"

	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/training"
)

type checkCmd struct {
	Data     string   `help:"${dataHelp}" required:"" type:"path" placeholder:"DIR"`
	Words    []string `help:"${wordsHelp}" placeholder:"WORD"`
	TestFold int      `help:"${testFoldHelp}" placeholder:"N"`
	JSON     bool     `name:"json" help:"Print one JSON object."`
	HTML     string   `name:"html" help:"Write a page to this file, too." type:"path" placeholder:"FILE"`
	Threads  int      `help:"Threads; 0 is one per core." default:"0"`

	Sound soundFlags `embed:"" group:"Sound:"`

	Computing computing.Flags `embed:""`

	Decoding decoding.Flags `embed:""`
}

// checked is what check prints.
type checked struct {
	*datasets.Report
	Choices []training.Choice `json:"choices"`
}

func (c *checkCmd) Run(ctx context.Context, s program.Streams) (err error) {
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	if c.Threads < 0 {
		return usageError("--threads must not be negative")
	}
	if c.HTML != "" {
		if err := atomicfile.Check(c.HTML); err != nil {
			return err
		}
	}
	dev, err := openDevice(c.Computing, c.Threads, s.Err)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, modelError(dev.Close())) }()
	fit := &fitCmd{Data: c.Data, Words: c.Words, TestFold: c.TestFold, Sound: c.Sound, Training: trainingFlags{
		Keep: "auto", Optimizer: string(recipe.Optimizer), Loss: string(recipe.Loss),
	}}
	p := planner{
		fitCmd: fit, notes: io.Discard, shown: &runProgress{out: s.Err},
		options: training.Options{Device: dev.Trainer, Threads: c.Threads},
	}
	made, err := p.plan(ctx, c.TestFold)
	if err != nil {
		return err
	}
	found := checked{made.report, made.choices}
	if c.HTML != "" {
		err = atomicfile.Write(c.HTML, func(w io.Writer) error { return checkPage.Execute(w, found) })
		if err != nil {
			return err
		}
	}
	if c.JSON {
		return safe.WriteJSON(s.Out, found)
	}
	return found.print(s.Out)
}

// print prints the report for people.
func (c checked) print(w io.Writer) error {
	if err := printLabels(w, c.Report); err != nil {
		return err
	}
	for _, f := range c.Findings {
		safe.Fprintf(w, "%s: %s\n", f.Kind, f.Text)
	}
	printChoices(w, c.Choices)
	return nil
}

//go:embed check.html
var checkHTML string

var checkPage = template.Must(template.New("check").Funcs(template.FuncMap{"safe": safe.Text}).Parse(checkHTML))
