package report

import (
	"bytes"
	"encoding/base64"
	"html/template"
	"image/color"
	"io"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// theme is the colours of a chart: the page has each on a light and on a dark ground. Those of data can be told apart
// by the colour-blind (Okabe and Ito, 2008).
type theme struct {
	ground, ink, grid color.RGBA
	good, bad         color.RGBA // right and wrong answers, after and before calibration
}

var (
	light = theme{rgb(0xffffff), rgb(0x22262b), rgb(0xd9dde2), rgb(0x0072b2), rgb(0xd55e00)}
	dark  = theme{rgb(0x1a1d21), rgb(0xd6dae0), rgb(0x3a4048), rgb(0x56b4e9), rgb(0xe69f00)}
)

func rgb(v uint32) color.RGBA { return color.RGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 255} }

// chart is a picture of plots, in rows that share their axes' place.
type chart struct {
	name          string // of its files, without extension
	alt           string // what it shows
	width, height vg.Length
	plots         func(t theme) ([][]*plot.Plot, error)
}

// picture is a chart as the page has it: the light and the dark form in itself.
type picture struct {
	Light         template.URL
	Dark          template.Srcset
	Alt           string
	Width, Height int // pixels
}

// svgFixes change SVG files: Arial is as wide as the font that the text was measured with, which most machines do not
// have, and images fill their place whatever their proportions.
var svgFixes = strings.NewReplacer(
	"font-family:Liberation Sans;", "font-family:Liberation Sans,Arial,Helvetica,sans-serif;",
	"<image ", `<image preserveAspectRatio="none" `)

// write writes the chart's files and returns its picture.
func (c chart) write(f *folder) (*picture, error) {
	p := &picture{Alt: c.alt, Width: int(c.width.Dots(96)), Height: int(c.height.Dots(96))}
	for _, t := range []theme{light, dark} {
		canvas := vgsvg.New(c.width, c.height)
		if err := c.draw(t, draw.New(canvas)); err != nil {
			return nil, err
		}
		var file bytes.Buffer
		if _, err := canvas.WriteTo(&file); err != nil {
			return nil, err
		}
		svg := svgFixes.Replace(file.String())
		url := "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svg))
		if t == dark {
			p.Dark = template.Srcset(url)
			continue
		}
		p.Light = template.URL(url)
		if err := f.write(c.name+".svg", []byte(svg)); err != nil {
			return nil, err
		}
	}
	canvas := vgimg.NewWith(vgimg.UseWH(c.width, c.height), vgimg.UseDPI(144))
	if err := c.draw(light, draw.New(canvas)); err != nil {
		return nil, err
	}
	return p, f.stream(c.name+".png", func(w io.Writer) error {
		_, err := vgimg.PngCanvas{Canvas: canvas}.WriteTo(w)
		return err
	})
}

// draw draws the plots.
func (c chart) draw(t theme, canvas draw.Canvas) error {
	plots, err := c.plots(t)
	if err != nil {
		return err
	}
	canvas.SetColor(t.ground)
	canvas.Fill(canvas.Rectangle.Path())
	const edge = 6
	tiles := draw.Tiles{
		Rows: len(plots), Cols: len(plots[0]), PadX: 12, PadY: 10,
		PadTop: edge, PadBottom: edge, PadLeft: edge, PadRight: 2 * edge,
	}
	for i, row := range plot.Align(plots, tiles, canvas) {
		for j, part := range row {
			plots[i][j].Draw(part)
		}
	}
	return nil
}

// newPlot returns an empty plot in the theme's colours.
func newPlot(t theme, title, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = t.ground
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	sans := font.Font{Typeface: "Liberation", Variant: "Sans"}
	for style, size := range map[*text.Style]vg.Length{
		&p.Title.TextStyle: 11, &p.Legend.TextStyle: 10,
		&p.X.Label.TextStyle: 10, &p.Y.Label.TextStyle: 10, &p.X.Tick.Label: 9, &p.Y.Tick.Label: 9,
	} {
		style.Color, style.Font = t.ink, font.From(sans, size)
	}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.LineStyle.Color, axis.Tick.LineStyle.Color = t.ink, t.ink
		axis.Tick.Marker = plot.TickerFunc(roundTicks)
	}
	p.Title.Padding, p.Legend.Padding = 4, 3
	return p
}

// roundTicks returns ticks at about five multiples of 1, 2 or 5 times a power of ten.
func roundTicks(least, most float64) (list []plot.Tick) {
	step := math.Pow(10, math.Floor(math.Log10((most-least)/5)))
	for _, k := range []float64{5, 2} {
		if (most-least)/(k*step) >= 4 {
			step *= k
			break
		}
	}
	const rounding = 1e-9
	for k := math.Ceil(least/step - rounding); k*step <= most+rounding*step; k++ {
		v := k*step + 0 // no negative zero
		list = append(list, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 6, 64)})
	}
	return list
}

// grid returns a grid, which is to be added first.
func grid(t theme) *plotter.Grid {
	g := plotter.NewGrid()
	g.Horizontal.Color, g.Vertical.Color = t.grid, t.grid
	return g
}

// line returns a line of points, dashed where it is one to compare with.
func line(c color.Color, dashed bool, points plotter.XYs) (*plotter.Line, error) {
	l, err := plotter.NewLine(points)
	if err != nil {
		return nil, err
	}
	if l.Color, l.Width = c, 1.5; dashed {
		l.Dashes = []vg.Length{4, 3}
	}
	return l, nil
}

// bar returns a filled rectangle.
func bar(c color.Color, left, bottom, right, top float64) (*plotter.Polygon, error) {
	p, err := plotter.NewPolygon(plotter.XYs{
		{X: left, Y: bottom}, {X: left, Y: top}, {X: right, Y: top}, {X: right, Y: bottom},
	})
	if err == nil {
		p.Color, p.LineStyle.Width = c, 0
	}
	return p, err
}

// ticks returns ticks at the places of the names.
func ticks(at []float64, names []string) plot.ConstantTicks {
	list := make(plot.ConstantTicks, len(at))
	for i := range at {
		list[i] = plot.Tick{Value: at[i], Label: names[i]}
	}
	return list
}

// chartLabel returns a label as charts have it: short, and without what XML cannot contain.
func chartLabel(label string) string {
	const longest = 20
	label = strings.Map(func(r rune) rune {
		if r == 0xfffe || r == 0xffff {
			return 0xfffd
		}
		return r
	}, label)
	if r := []rune(label); len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return label
}
