package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/cmd/internal/progress"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/regions"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

type regionsCmd struct {
	Model   string  `help:"${modelHelp}" placeholder:"MODEL"`
	Data    string  `help:"Folder of recordings, CLASS/*.wav." required:"" type:"path" placeholder:"DIR"`
	Split   string  `help:"Part of the data: test, valid, train or all." enum:"test,valid,train,all" default:"valid"`
	Lines   int     `help:"Lines of each kind: between random points, and between clips." default:"20" placeholder:"N"`
	Most    int     `help:"${mostHelp}" default:"100000" placeholder:"N"`
	Seed    uint64  `help:"Seed of the lines." default:"1"`
	Silence float64 `help:"${silenceHelp}" default:"0.1"`
	CSV     string  `name:"csv" help:"Write a row for each line to this file." type:"path" placeholder:"FILE"`
	JSON    bool    `name:"json" help:"Print one JSON object."`

	Decoding decoding.Flags `embed:""`
}

// degreeTolerances are up to which share of the range of logits a polynomial of a lower degree may differ.
var degreeTolerances = []float64{1e-2, 1e-4, 1e-8}

// regionLine is a line between two clips of features.
type regionLine struct {
	Between string `json:"between"` // "random" points of the box, or "clips"
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
	Pieces  int    `json:"pieces"`            // linear ones, or 1 of a polynomial
	Degrees []int  `json:"degrees,omitempty"` // of a polynomial, by degreeTolerances; −1: not known
}

// regionCounts are what --json prints.
type regionCounts struct {
	Kind  string `json:"kind"`            // as polynet.Program.DescribeDegree describes it
	Units int    `json:"units,omitempty"` // that are ReLU, of a clip
	// Row is what is known about the network of one row of logits; nil where the network is none of rows.
	Row   *rowCounts   `json:"row,omitempty"`
	Why   string       `json:"row_missing,omitempty"` // why there is none
	Lines []regionLine `json:"lines"`
}

// rowCounts are about the network of one row of logits.
type rowCounts struct {
	Units     int `json:"units"`
	Patterns  int `json:"patterns"`  // that are possible
	Functions int `json:"functions"` // different linear ones
}

func (c *regionsCmd) Run(ctx context.Context, s program.Streams) error {
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	if c.Lines < 1 || c.Most < 0 {
		return usageError("--lines must be positive and --most not negative")
	}
	if c.CSV != "" {
		if err := atomicfile.Check(c.CSV); err != nil {
			return err
		}
	}
	model, set, items, err := openClips(c.Model, c.Data, c.Split, c.Silence)
	if err != nil {
		return err
	}
	net, err := regions.Compile(model)
	if err != nil {
		return modelError(err)
	}
	p := model.Net.Program()
	switch {
	case !net.Linear() && !net.Polynomial():
		return fmt.Errorf("%s: neither linear regions nor a degree could be counted", p.DescribeDegree())
	case !(model.Norm.Limit > 0):
		return errors.New("the model's features have no limit, and so there is no box to count regions in")
	}
	r := &regionCounts{Kind: p.DescribeDegree()}
	if net.Linear() {
		if err := c.count(ctx, net, float64(model.Norm.Limit), r); err != nil {
			return err
		}
	}
	if err := c.lines(ctx, model, net, set, items, r, s.Err); err != nil {
		return err
	}
	if c.CSV != "" {
		if err := atomicfile.Write(c.CSV, r.csv); err != nil {
			return err
		}
	}
	if c.JSON {
		return safe.WriteJSON(s.Out, r)
	}
	return r.print(s.Out)
}

// errEnough ends an enumeration.
var errEnough = errors.New("enough")

// count counts the patterns of a row's network.
func (c *regionsCmd) count(ctx context.Context, net *regions.Net, limit float64, r *regionCounts) error {
	row, err := net.Rows(limit)
	if err != nil {
		r.Why = err.Error()
		return nil
	}
	counts, functions := rowCounts{Units: row.RowUnits()}, map[string]bool{}
	err = row.Enumerate(ctx, func(g *regions.Region) error {
		if counts.Patterns == c.Most {
			return errEnough
		}
		counts.Patterns++
		functions[g.Function()] = true
		return nil
	})
	counts.Functions = len(functions)
	if errors.Is(err, errEnough) {
		r.Why = fmt.Sprintf("%d units a row have more than %d patterns", counts.Units, c.Most)
		return nil
	}
	r.Row = &counts
	return err
}

// lines looks at the lines.
func (c *regionsCmd) lines(
	ctx context.Context, m *polynet.Model, net *regions.Net, set *datasets.Set, items []datasets.Item, r *regionCounts,
	console io.Writer,
) error {
	rng := rand.New(rand.NewPCG(c.Seed, 7))
	picked := make([]datasets.Item, min(2*c.Lines, len(items)))
	for i, k := range rng.Perm(len(items))[:len(picked)] {
		picked[i] = items[k]
	}
	extractor, err := features.New(m.Features)
	if err != nil {
		return modelError(err)
	}
	loader, err := datasets.NewLoader(picked, set.Noise, datasets.LoaderConfig{
		Extractor: extractor, Window: m.Window, Batch: 1, Threads: 1, CacheBytes: -1,
	})
	if err != nil {
		return err
	}
	frames := m.Features.Frames(m.WindowSamples())
	r.Units = net.Units(frames)
	bar := progress.New(console, 2*c.Lines, "train")
	defer bar.Clear()
	add := func(l regionLine, from, to []float64) (err error) {
		l.Pieces = 1
		if net.Linear() {
			l.Pieces, err = net.Pieces(ctx, from, to, frames)
		} else {
			l.Degrees, err = net.Degree(ctx, from, to, frames, degreeTolerances)
		}
		r.Lines = append(r.Lines, l)
		bar.Add(1)
		return err
	}
	for range c.Lines {
		ends := [2][]float64{make([]float64, frames*m.Net.Inputs), make([]float64, frames*m.Net.Inputs)}
		for _, end := range ends {
			for i := range end {
				end[i] = float64(m.Norm.Limit) * (2*rng.Float64() - 1)
			}
		}
		if err := add(regionLine{Between: "random"}, ends[0], ends[1]); err != nil {
			return err
		}
	}
	var first []float64
	var name string
	for b, err := range loader.Ordered(ctx) {
		if err != nil {
			return err
		}
		rows := slices.Clone(b.X[:b.Frames*m.Features.Mels])
		m.Norm.Apply(rows)
		clip := make([]float64, len(rows))
		for i, v := range rows {
			clip[i] = float64(v)
		}
		if first == nil {
			first, name = clip, b.Items[0].Path
			continue
		}
		if err := add(regionLine{Between: "clips", From: name, To: b.Items[0].Path}, first, clip); err != nil {
			return err
		}
		first = nil
	}
	bar.Clear()
	warnFiles(console, nil, loader.Skipped(), loader.Warnings())
	return nil
}

// of returns a figure of all lines of a kind.
func (r *regionCounts) of(between string, figure func(l regionLine) int) (values []float64) {
	for _, l := range r.Lines {
		if l.Between == between {
			values = append(values, float64(figure(l)))
		}
	}
	return values
}

// kindsOfLines are how lines are named in records, and to people.
var kindsOfLines = [][2]string{{"random", "random points of the box"}, {"clips", "clips"}}

func (r *regionCounts) print(w io.Writer) error {
	t := table{columns: "l"}
	t.row("network", r.Kind)
	polynomial := r.Lines[0].Degrees != nil
	switch {
	case polynomial:
		t.row("regions", "1: it is one polynomial everywhere")
	case r.Row != nil:
		t.row("regions of a row's network", fmt.Sprintf("%d patterns of %d units, counted exactly; %d linear functions",
			r.Row.Patterns, r.Row.Units, r.Row.Functions))
	default:
		t.row("regions of a row's network", "not counted: "+r.Why)
	}
	if !polynomial {
		t.row("units of a clip", fmt.Sprint(r.Units))
	}
	if err := t.write(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	lines := table{columns: "lr"}
	figures, heads := []func(l regionLine) int{func(l regionLine) int { return l.Pieces }}, []string{"linear pieces"}
	if polynomial {
		figures, heads = nil, nil
		for i, tolerance := range degreeTolerances {
			figures = append(figures, func(l regionLine) int { return l.Degrees[i] })
			heads = append(heads, fmt.Sprintf("degree to %g", tolerance))
		}
	}
	lines.row(append([]string{"lines between", "lines"}, heads...)...)
	for _, kind := range kindsOfLines {
		cells := []string{kind[1]}
		for i, figure := range figures {
			values := r.of(kind[0], figure)
			if i == 0 {
				cells = append(cells, fmt.Sprint(len(values)))
			}
			cell := "-"
			if len(values) > 0 {
				cell = fmt.Sprintf("%.1f (%g-%g)", stat.Mean(values, nil), floats.Min(values), floats.Max(values))
			}
			cells = append(cells, cell)
		}
		lines.row(cells...)
	}
	return lines.write(w)
}

// csv writes a row for each line.
func (r *regionCounts) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	head := []string{"between", "from", "to", "pieces"}
	for _, tolerance := range degreeTolerances {
		head = append(head, fmt.Sprintf("degree_%g", tolerance))
	}
	out.Write(head)
	for _, l := range r.Lines {
		row := []string{l.Between, safe.Field(l.From), safe.Field(l.To), strconv.Itoa(l.Pieces)}
		for i := range degreeTolerances {
			cell := ""
			if l.Degrees != nil {
				cell = strconv.Itoa(l.Degrees[i])
			}
			row = append(row, cell)
		}
		out.Write(row)
	}
	out.Flush()
	return out.Error()
}
