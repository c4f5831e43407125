// Command plot draws the calibration errors that bench/calibration/run.py measured, before and after temperature.
//
//	plot RUNS OUT.png
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/polyphon/polyphon/internal/atomicfile"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// run is what run.py keeps of a run.
type run struct {
	Net, Loss     string
	Before, After struct{ ECE float64 }
}

func main() {
	if err := drawAll(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func drawAll(work, out string) error {
	files, err := filepath.Glob(filepath.Join(work, "*.json"))
	if err != nil {
		return err
	}
	nets := map[string][]run{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var r run
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		nets[r.Net] = append(nets[r.Net], r)
	}
	const width, height = 14 * vg.Centimeter, 9 * vg.Centimeter
	canvas := vgimg.New(width*vg.Length(max(len(nets), 1)), height)
	tiles := draw.Tiles{Cols: max(len(nets), 1), Rows: 1}
	column := 0
	for _, net := range []string{"small", "small, no augmentation", "base", "base, no augmentation"} {
		if runs := nets[net]; len(runs) > 0 {
			p, err := bars(net, runs)
			if err != nil {
				return err
			}
			p.Draw(tiles.At(draw.New(canvas), column, 0))
			column++
		}
	}
	return atomicfile.Write(out, func(w io.Writer) error {
		_, err := vgimg.PngCanvas{Canvas: canvas}.WriteTo(w)
		return err
	})
}

// bars draws the mean calibration errors of a network's losses.
func bars(net string, runs []run) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.Y.Label.Text, p.Legend.Top = net, "ECE, %", true
	var names []string
	var before, after plotter.Values
	for _, loss := range []string{"ce", "ls", "brier", "focal", "flsd", "flsc", "dual"} {
		of := slices.DeleteFunc(slices.Clone(runs), func(r run) bool { return r.Loss != loss })
		if len(of) == 0 {
			continue
		}
		var b, a []float64
		for _, r := range of {
			b, a = append(b, r.Before.ECE), append(a, r.After.ECE)
		}
		names, before, after = append(names, loss), append(before, stat.Mean(b, nil)), append(after, stat.Mean(a, nil))
	}
	for i, values := range []plotter.Values{before, after} {
		b, err := plotter.NewBarChart(values, vg.Points(14))
		if err != nil {
			return nil, err
		}
		b.Color, b.LineStyle.Width, b.Offset = plotutil.Color(i), 0, vg.Points(16*float64(i)-8)
		p.Add(b)
		p.Legend.Add([]string{"before", "after temperature"}[i], b)
	}
	p.NominalX(names...)
	p.Y.Max *= 1.25 // room for the legend above the bars
	return p, nil
}
