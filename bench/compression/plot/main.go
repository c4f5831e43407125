// Command plot draws lines over figures: it reads a JSON object {"x", "y", "lines": [{"name", "points": [[x, y,
// low, high], ...]}]} from its standard input and writes the picture, .svg or .png.
//
//	plot OUT < FIGURES
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// figures is what is drawn.
type figures struct {
	X, Y  string
	Lines []line
}

type line struct {
	Name   string
	Points [][4]float64 // x, y, and from where to where its bar goes
}

func main() {
	if err := drawAll(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func drawAll(out string) error {
	var f figures
	if err := json.NewDecoder(os.Stdin).Decode(&f); err != nil {
		return err
	}
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = f.X, f.Y
	for i, l := range f.Lines {
		points, errors := make(plotter.XYs, len(l.Points)), make(plotter.YErrors, len(l.Points))
		for k, v := range l.Points {
			points[k].X, points[k].Y = v[0], v[1]
			errors[k].Low, errors[k].High = v[1]-v[2], v[3]-v[1]
		}
		drawn, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return fmt.Errorf("%s: %w", l.Name, err)
		}
		bars, err := plotter.NewYErrorBars(struct {
			plotter.XYs
			plotter.YErrors
		}{points, errors})
		if err != nil {
			return fmt.Errorf("%s: %w", l.Name, err)
		}
		drawn.Color, marks.Color, bars.Color = plotutil.Color(i), plotutil.Color(i), plotutil.Color(i)
		marks.Shape = plotutil.Shape(i)
		p.Add(drawn, marks, bars)
		p.Legend.Add(l.Name, drawn, marks)
	}
	return p.Save(16*vg.Centimeter, 10*vg.Centimeter, out)
}
