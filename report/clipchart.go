package report

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"github.com/polyphon/polyphon/features"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette/moreland"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// clipChart shows a clip's log-mel energies, and what in them speaks for and against the answer.
func clipChart(name, alt string, e *explanation, c features.Config, centres []float64) chart {
	return chart{
		name: name, alt: alt, width: 10 * vg.Centimeter, height: 14 * vg.Centimeter,
		plots: func(t theme) ([][]*plot.Plot, error) {
			spectrogram, err := energyColors(e.Rows)
			if err != nil {
				return nil, err
			}
			product := signedColors(t, e.Product, func(frame, mel int) float64 { return e.Product[frame*e.Mels+mel] })
			var rows [][]*plot.Plot
			for _, part := range []struct {
				title string
				color func(frame, mel int) color.Color
			}{
				{"log-mel energies", func(frame, mel int) color.Color { return spectrogram(e.Rows[frame*e.Mels+mel]) }},
				{"gradient times input", product},
				{"occlusion", signedColors(t, e.Occlusion, e.lost)},
			} {
				p := newPlot(t, part.title, "", "Hz")
				p.Add(plotter.NewImage(e.image(part.color), 0, -0.5,
					float64(e.Frames)/c.FramesPerSecond(), float64(e.Mels)-0.5))
				p.Y.Tick.Marker = hertzTicks(centres)
				rows = append(rows, []*plot.Plot{p})
			}
			rows[len(rows)-1][0].X.Label.Text = "s"
			return rows, nil
		},
	}
}

// image paints each place, the lowest mel at the bottom.
func (e *explanation) image(at func(frame, mel int) color.Color) image.Image {
	zoom := max(min(1600/e.Frames, 4), 1) // so that scaling does not blur the places of clips of a few seconds
	img := image.NewRGBA(image.Rect(0, 0, zoom*e.Frames, zoom*e.Mels))
	for frame := range e.Frames {
		for mel := range e.Mels {
			y := e.Mels - 1 - mel
			r := image.Rect(zoom*frame, zoom*y, zoom*(frame+1), zoom*(y+1))
			fill(img, r, color.RGBAModel.Convert(at(frame, mel)).(color.RGBA))
		}
	}
	return img
}

// energyColors returns the colours of values in the range of all.
func energyColors(values []float32) (func(v float32) color.Color, error) {
	const steps = 256
	low, high := slices.Min(values), slices.Max(values)
	m := moreland.Kindlmann()
	m.SetMin(0)
	m.SetMax(steps - 1)
	list := make([]color.Color, steps)
	for i := range list {
		var err error
		if list[i], err = m.At(float64(i)); err != nil {
			return nil, err
		}
	}
	return func(v float32) color.Color {
		if high == low {
			return list[0]
		}
		return list[int((steps-1)*float64((v-low)/(high-low)))]
	}, nil
}

// signedColors returns the colours of values: of the largest in size the theme's good one, or the bad one where it is
// negative; of 0 the ground.
func signedColors(t theme, values []float64, at func(frame, mel int) float64) func(frame, mel int) color.Color {
	largest := 0.0
	for _, v := range values {
		largest = max(largest, math.Abs(v))
	}
	return func(frame, mel int) color.Color {
		v := at(frame, mel)
		c := t.good
		if v < 0 {
			c = t.bad
		}
		if largest == 0 {
			return t.ground
		}
		return mix(t.ground, c, math.Sqrt(math.Abs(v)/largest))
	}
}

// hertzTicks returns ticks at some mels, named by their frequencies.
func hertzTicks(centres []float64) plot.ConstantTicks {
	var at []float64
	var names []string
	const count = 5
	for i := range min(count, len(centres)) {
		mel := i * (len(centres) - 1) / max(min(count, len(centres))-1, 1)
		at, names = append(at, float64(mel)), append(names, fmt.Sprintf("%.0f", centres[mel]))
	}
	return ticks(at, names)
}

// centresOf returns the mean frequency of each mel's triangle, in hertz.
func centresOf(e *features.Extractor) []float64 {
	c := e.Config()
	spans, weights := e.MelSpans()
	centres := make([]float64, c.Mels)
	for mel := range centres {
		first, bins, begin := int(spans[3*mel]), int(spans[3*mel+1]), int(spans[3*mel+2])
		sum, all := 0.0, 0.0
		for k := range bins {
			w := float64(weights[begin+k])
			sum, all = sum+w*float64(first+k), all+w
		}
		centres[mel] = sum / all * float64(c.Rate) / float64(c.FFT)
	}
	return centres
}
