// Command curves draws the learning curves of bench/pinets: validation accuracy over epochs, for each kind of blocks
// the mean over the seeds and the band between their extremes.
//
//	curves WORK OUT.png
//
// WORK has the logs of train fit, NET-ARCH-SEED.csv.
package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"image/color"
	"io"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/polyphon/polyphon/internal/atomicfile"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("curves: ")
	if len(os.Args) != 3 {
		log.Fatal("usage: curves WORK OUT.png")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
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
		net, narrow := strings.CutPrefix(net, "narrow ")
		if narrow {
			kind += ", narrow"
		}
		if nets[net] == nil {
			nets[net] = map[string]runs{}
		}
		nets[net][kind] = append(nets[net][kind], accuracies)
	}
	return draw(nets, out)
}

// read returns the validation accuracy of each epoch, in percent.
func read(path string) ([]float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	column := slices.Index(rows[0], "valid_accuracy")
	if column < 0 {
		return nil, errors.New("no column valid_accuracy")
	}
	accuracies := make([]float64, len(rows)-1)
	for i, row := range rows[1:] {
		if accuracies[i], err = strconv.ParseFloat(row[column], 64); err != nil {
			return nil, err
		}
	}
	return accuracies, nil
}

// draw writes one plot for each net, side by side.
func draw(nets map[string]map[string]runs, out string) error {
	var plots []*plot.Plot
	for _, net := range []string{"base", "small", "papers"} {
		if nets[net] == nil {
			continue
		}
		p, err := plotNet(net, nets[net])
		if err != nil {
			return err
		}
		plots = append(plots, p)
	}
	canvas := vgimg.New(vg.Length(len(plots))*12*vg.Centimeter, 11*vg.Centimeter)
	tiles := vgdraw.Tiles{Rows: 1, Cols: max(1, len(plots)), PadX: vg.Points(8)}
	for i, p := range plots {
		p.Draw(tiles.At(vgdraw.New(canvas), i, 0))
	}
	return atomicfile.Write(out, func(w io.Writer) error {
		_, err := vgimg.PngCanvas{Canvas: canvas}.WriteTo(w)
		return err
	})
}

// plotNet returns the curves of the kinds of one net.
func plotNet(net string, kinds map[string]runs) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = net, "epoch", "validation accuracy, %"
	p.Y.Min, p.Y.Max = 70, 97
	p.Legend.YOffs = vg.Points(4)
	p.Add(plotter.NewGrid())
	for i, name := range slices.Sorted(maps.Keys(kinds)) {
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

// summary returns the mean over the seeds at each epoch that all of them have, and the outline of the band between
// their extremes.
func (r runs) summary() (mean, band plotter.XYs) {
	epochs := len(r[0])
	for _, seed := range r {
		epochs = min(epochs, len(seed))
	}
	var below plotter.XYs
	for e := range epochs {
		sum, low, high := 0.0, r[0][e], r[0][e]
		for _, seed := range r {
			sum, low, high = sum+seed[e], min(low, seed[e]), max(high, seed[e])
		}
		x := float64(e + 1)
		mean = append(mean, plotter.XY{X: x, Y: sum / float64(len(r))})
		band = append(band, plotter.XY{X: x, Y: high})
		below = append(below, plotter.XY{X: x, Y: low})
	}
	slices.Reverse(below)
	return mean, append(band, below...)
}
