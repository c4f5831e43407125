// Command curves draws the learning curves of bench/pinets: validation accuracy over epochs, one line for each kind of
// network, the mean over its seeds, between the seeds' extremes.
//
//	curves WORK OUT.png
//
// WORK has the logs of train fit, NET-ARCH-SEED.csv.
package main

import (
	"encoding/csv"
	"fmt"
	"image/color"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("curves WORK OUT.png")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal("curves: ", err)
	}
}

// runs is the accuracies of each seed, by epoch.
type runs [][]float64

func run(work, out string) error {
	paths, err := filepath.Glob(filepath.Join(work, "*.csv"))
	if err != nil {
		return err
	}
	nets := map[string]map[string]runs{} // by net, by kind of blocks
	for _, path := range paths {
		net, rest, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".csv"), "-")
		kind := rest[:strings.LastIndex(rest, "-")]
		accuracies, err := read(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		net = strings.TrimPrefix(net, "narrow ")
		if strings.HasPrefix(filepath.Base(path), "narrow ") {
			kind += ", narrow"
		}
		if nets[net] == nil {
			nets[net] = map[string]runs{}
		}
		nets[net][kind] = append(nets[net][kind], accuracies)
	}
	return draws(nets, out)
}

// read returns the validation accuracy of each epoch, in percent.
func read(path string) ([]float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, err
	}
	var accuracies []float64
	for i, row := range rows {
		column := slices.Index(rows[0], "valid_accuracy")
		if i == 0 || column < 0 {
			continue
		}
		v, err := strconv.ParseFloat(row[column], 64)
		if err != nil {
			return nil, err
		}
		accuracies = append(accuracies, v)
	}
	return accuracies, nil
}

// draws writes one plot for each net, side by side.
func draws(nets map[string]map[string]runs, out string) error {
	var plots []*plot.Plot
	for _, net := range []string{"base", "small", "papers"} {
		if nets[net] == nil {
			continue
		}
		p, err := drawn(net, nets[net])
		if err != nil {
			return err
		}
		plots = append(plots, p)
	}
	canvas := vgimg.New(vg.Length(len(plots))*12*vg.Centimeter, 11*vg.Centimeter)
	tiles := draw.Tiles{Rows: 1, Cols: max(1, len(plots)), PadX: vg.Points(8)}
	for i, p := range plots {
		p.Draw(tiles.At(draw.New(canvas), i, 0))
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	if _, err := (vgimg.PngCanvas{Canvas: canvas}).WriteTo(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func drawn(net string, kinds map[string]runs) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = net, "epoch", "validation accuracy, %"
	p.Y.Min, p.Y.Max = 70, 97
	p.Legend.YOffs = vg.Points(4)
	p.Add(plotter.NewGrid())
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		mean, band := kinds[name].summary()
		line, err := plotter.NewLine(mean)
		if err != nil {
			return nil, err
		}
		line.Color = plotutil.Color(i)
		area, err := plotter.NewPolygon(band)
		if err != nil {
			return nil, err
		}
		r, g, b, _ := plotutil.Color(i).RGBA()
		area.Color, area.LineStyle.Width = color.NRGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 48}, 0
		p.Add(area, line)
		p.Legend.Add(name, line)
	}
	return p, nil
}

// summary returns the mean over the seeds at each epoch that all of them have, and the outline of the band between their extremes.
func (r runs) summary() (mean, band plotter.XYs) {
	epochs := len(r[0])
	for _, seed := range r {
		epochs = min(epochs, len(seed))
	}
	var below plotter.XYs
	for e := range epochs {
		var at []float64
		sum := 0.0
		for _, seed := range r {
			at = append(at, seed[e])
			sum += seed[e]
		}
		x := float64(e + 1)
		mean = append(mean, plotter.XY{X: x, Y: sum / float64(len(r))})
		band = append(band, plotter.XY{X: x, Y: slices.Max(at)})
		below = append(below, plotter.XY{X: x, Y: slices.Min(at)})
	}
	slices.Reverse(below)
	return mean, append(band, below...)
}
