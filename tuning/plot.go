package tuning

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/polyphon/polyphon/internal/atomicfile"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// CheckDET returns an error when WriteDET could not write to path, so that long work need not end with it.
func CheckDET(path string) error {
	if err := atomicfile.Check(path); err != nil {
		return err
	}
	_, err := detFormat(path)
	return err
}

func detFormat(path string) (string, error) {
	format := strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	if format != "png" && format != "svg" {
		return "", fmt.Errorf("%s: a curve is written as .png or .svg", path)
	}
	return format, nil
}

// WriteDET plots misses in percent over false alarms an hour, with the chosen score marked, as path ends: .png or .svg.
func WriteDET(path string, frontier []Score, chosen Score) error {
	format, err := detFormat(path)
	if err != nil {
		return err
	}
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = "Detection error trade-off", "false alarms an hour", "misses, %"
	p.X.Min, p.Y.Min = 0, 0
	line, points, err := plotter.NewLinePoints(curve(frontier))
	if err != nil {
		return err
	}
	mark, err := plotter.NewScatter(curve([]Score{chosen}))
	if err != nil {
		return err
	}
	mark.Color, mark.Radius = color.RGBA{R: 200, A: 255}, vg.Points(5)
	p.Add(plotter.NewGrid(), line, points, mark)
	p.X.Max, p.Y.Max = math.Max(p.X.Max, 1), math.Max(p.Y.Max, 1)
	image, err := p.WriterTo(16*vg.Centimeter, 12*vg.Centimeter, format)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := image.WriteTo(w)
		return err
	})
}

// curve returns the scores as points of the trade-off.
func curve(scores []Score) plotter.XYs {
	points := make(plotter.XYs, len(scores))
	for i, s := range scores {
		points[i] = plotter.XY{X: s.FalseAlarmsPerHour(), Y: 100 * s.MissRate()}
	}
	return points
}
