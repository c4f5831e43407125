package report

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strconv"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/training"
	"gonum.org/v1/gonum/stat/distuv"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	width  = 11 * vg.Centimeter // of most charts: on a phone, text must not be made much smaller
	height = 7 * vg.Centimeter
	points = 400 // of a curve at most
)

// historyChart shows losses and accuracies by epoch.
func historyChart(history []training.Epoch) chart {
	last := history[len(history)-1]
	return chart{
		name: "learning", width: width, height: 11 * vg.Centimeter,
		alt: fmt.Sprintf("Loss and accuracy by epoch: after epoch %d a training loss of %.3g and %.1f %% of the "+
			"validation clips right.", last.Epoch, last.Loss, last.ValidAccuracy),
		plots: func(t theme) ([][]*plot.Plot, error) {
			loss := newPlot(t, "Loss, in nats", "", "")
			accuracy := newPlot(t, "Accuracy, %", "epoch", "")
			loss.Add(grid(t))
			accuracy.Add(grid(t))
			for _, c := range []struct {
				p     *plot.Plot
				name  string
				color color.Color
				of    func(e training.Epoch) float64
			}{
				{loss, "training", t.bad, func(e training.Epoch) float64 { return e.Loss }},
				{loss, "validation (NLL)", t.good, func(e training.Epoch) float64 { return e.ValidNLL }},
				{accuracy, "training", t.bad, func(e training.Epoch) float64 { return e.TrainAccuracy }},
				{accuracy, "validation", t.good, func(e training.Epoch) float64 { return e.ValidAccuracy }},
			} {
				var curve plotter.XYs
				for _, e := range history {
					if v := c.of(e); v-v == 0 {
						curve = append(curve, plotter.XY{X: float64(e.Epoch), Y: v})
					}
				}
				if len(curve) == 0 {
					continue
				}
				l, dots, err := plotter.NewLinePoints(curve)
				if err != nil {
					return nil, err
				}
				l.Color, l.Width, dots.Color, dots.Shape, dots.Radius = c.color, 1.5, c.color, draw.CircleGlyph{}, 1.5
				c.p.Add(l, dots)
				c.p.Legend.Add(c.name, l)
			}
			loss.Legend.Top = true
			return [][]*plot.Plot{{loss}, {accuracy}}, nil
		},
	}
}

// maxMatrix is how many labels a confusion matrix has at most: its figures are their square.
const maxMatrix = 200

// confusionChart shows the shares of each class's clips by answer: right ones in one colour, wrong ones in the other.
func confusionChart(labels []string, confusion [][]int) chart {
	n := len(labels)
	side := min(max(5*vg.Centimeter+vg.Length(n)*0.42*vg.Centimeter, 9*vg.Centimeter), 40*vg.Centimeter)
	return chart{
		name: "confusion", width: side, height: side,
		alt: "Confusion matrix: shares of the clips of each label by answer. The table of labels has the same figures.",
		plots: func(t theme) ([][]*plot.Plot, error) {
			p := newPlot(t, "", "answer", "label")
			cell := max(1000/n, 4) // pixels, so that scaling does not blur them
			img := image.NewRGBA(image.Rect(0, 0, n*cell, n*cell))
			names, at := make([]string, n), make([]float64, n)
			for i, row := range confusion {
				names[n-1-i], at[i] = chartLabel(labels[i]), float64(i)
				clips := 0
				for _, k := range row {
					clips += k
				}
				for j, k := range row {
					c := t.bad
					if i == j {
						c = t.good
					}
					c = mix(t.ground, c, math.Sqrt(float64(k)/float64(max(clips, 1))))
					fill(img, image.Rect(j*cell, i*cell, (j+1)*cell, (i+1)*cell), c)
				}
			}
			p.Add(plotter.NewImage(img, -0.5, -0.5, float64(n)-0.5, float64(n)-0.5))
			p.Y.Tick.Marker = ticks(at, names)
			across := make([]string, n)
			for i := range names {
				across[i] = names[n-1-i]
			}
			p.X.Tick.Marker = ticks(at, across)
			p.X.Tick.Label.Rotation = math.Pi / 2
			p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XRight, draw.YCenter
			return [][]*plot.Plot{{p}}, nil
		},
	}
}

func fill(img *image.RGBA, r image.Rectangle, c color.RGBA) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			img.SetRGBA(x, y, c)
		}
	}
}

// mix returns a colour between two, the second one at 1.
func mix(a, b color.RGBA, share float64) color.RGBA {
	between := func(x, y uint8) uint8 { return uint8(math.Round(float64(x) + share*(float64(y)-float64(x)))) }
	return color.RGBA{between(a.R, b.R), between(a.G, b.G), between(a.B, b.B), 255}
}

// reliabilityChart shows accuracy by confidence before and after calibration, with the number of clips of each bin.
func reliabilityChart(before, after []calibrate.Bin, errorBefore, errorAfter float64) chart {
	return chart{
		name: "reliability", width: width, height: 13 * vg.Centimeter,
		alt: fmt.Sprintf("Reliability diagrams: accuracy by confidence, expected calibration error %.1f %% before and "+
			"%.1f %% after calibration. The table below has the same figures.", errorBefore, errorAfter),
		plots: func(t theme) ([][]*plot.Plot, error) {
			first, err := reliabilityPlot(t, "before calibration, with the number of clips", t.bad, before)
			if err != nil {
				return nil, err
			}
			second, err := reliabilityPlot(t, "after calibration", t.good, after)
			return [][]*plot.Plot{{first}, {second}}, err
		},
	}
}

func reliabilityPlot(t theme, title string, c color.RGBA, bins []calibrate.Bin) (*plot.Plot, error) {
	p := newPlot(t, title, "confidence, %", "right, %")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 100, 0, 112
	p.Add(grid(t))
	var counts plotter.XYLabels
	for _, b := range bins {
		if b.Count == 0 {
			continue
		}
		rectangle, err := bar(mix(t.ground, c, 0.6), 100*b.Low+0.3, 0, 100*b.High-0.3, 100*b.Accuracy)
		if err != nil {
			return nil, err
		}
		p.Add(rectangle)
		counts.XYs = append(counts.XYs, plotter.XY{X: 50 * (b.Low + b.High), Y: 100*b.Accuracy + 1})
		counts.Labels = append(counts.Labels, shortCount(b.Count))
	}
	ideal, err := line(t.ink, true, plotter.XYs{{X: 0, Y: 0}, {X: 100, Y: 100}})
	if err != nil {
		return nil, err
	}
	labels, err := plotter.NewLabels(counts)
	if err != nil {
		return nil, err
	}
	for i := range labels.TextStyle {
		labels.TextStyle[i] = p.X.Tick.Label
		labels.TextStyle[i].Font.Size = 7
		labels.TextStyle[i].XAlign, labels.TextStyle[i].YAlign = draw.XCenter, draw.YBottom
	}
	p.Add(ideal, labels)
	return p, nil
}

// shortCount returns a number as it fits above a bar.
func shortCount(n int) string {
	if n < 10000 {
		return strconv.Itoa(n)
	}
	return strconv.Itoa((n+500)/1000) + "k"
}

// histogramChart shows how many right and how many wrong answers have which confidence.
func histogramChart(bins []calibrate.Bin) chart {
	return chart{
		name: "confidence", width: width, height: 11 * vg.Centimeter,
		alt: "Histograms of the confidences of right and of wrong answers. The table of bins has the same figures.",
		plots: func(t theme) ([][]*plot.Plot, error) {
			right := newPlot(t, "right answers", "", "clips")
			wrong := newPlot(t, "wrong answers", "confidence after calibration, %", "clips")
			for _, p := range []*plot.Plot{right, wrong} {
				p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 100, 0, 1
				p.Add(grid(t))
			}
			for _, b := range bins {
				hits := rightOf(b)
				for _, part := range []struct {
					p     *plot.Plot
					clips int
					c     color.RGBA
				}{{right, hits, t.good}, {wrong, b.Count - hits, t.bad}} {
					rectangle, err := bar(part.c, 100*b.Low+0.3, 0, 100*b.High-0.3, float64(part.clips))
					if err != nil {
						return nil, err
					}
					part.p.Add(rectangle)
				}
			}
			return [][]*plot.Plot{{right}, {wrong}}, nil
		},
	}
}

// rightOf returns how many clips of a bin are classified right.
func rightOf(b calibrate.Bin) int { return int(math.Round(b.Accuracy * float64(b.Count))) }

// riskChart shows the share of wrong answers by the share of clips that are answered.
func riskChart(curve []riskPoint, area float64) chart {
	return chart{
		name: "risk", width: width, height: height,
		alt: fmt.Sprintf("Risk by coverage: %.2f %% wrong where all clips are answered, %.2f %% on average over all "+
			"coverages.", 100*curve[len(curve)-1].Risk, 100*area),
		plots: func(t theme) ([][]*plot.Plot, error) {
			p := newPlot(t, "", "clips that are answered, %", "wrong answers, %")
			p.X.Min, p.X.Max, p.Y.Min = 0, 100, 0
			var xys plotter.XYs
			for _, q := range thin(curve, points) {
				xys = append(xys, plotter.XY{X: 100 * q.Coverage, Y: 100 * q.Risk})
			}
			l, err := line(t.good, false, xys)
			if err != nil {
				return nil, err
			}
			p.Add(grid(t), l)
			p.Y.Max = max(p.Y.Max*1.05, 1)
			return [][]*plot.Plot{{p}}, nil
		},
	}
}

// probit is the scale of DET curves (Martin et al., 1997): the normal deviate of an error rate in percent.
type probit struct{}

// Rates beyond these, in percent, are drawn at the edge.
const leastRate, mostRate = 0.05, 95

func (probit) Normalize(least, most, x float64) float64 {
	deviate := func(x float64) float64 {
		return distuv.UnitNormal.Quantile(min(max(x, leastRate), mostRate) / 100)
	}
	return (deviate(x) - deviate(least)) / (deviate(most) - deviate(least))
}

// detectionChart shows misses by false alarms.
func detectionChart(curve []detPoint, equal float64, words, others int) chart {
	return chart{
		name: "det", width: width, height: width,
		alt: fmt.Sprintf("Detection error trade-off of %d words and %d other clips: equal error rate %.2f %%.",
			words, others, 100*equal),
		plots: func(t theme) ([][]*plot.Plot, error) {
			p := newPlot(t, "", "other clips taken for a word, %", "words missed, %")
			at := []float64{0.1, 0.5, 1, 2, 5, 10, 20, 40, 60, 80}
			names := make([]string, len(at))
			for i, v := range at {
				names[i] = strconv.FormatFloat(v, 'g', -1, 64)
			}
			for _, axis := range []*plot.Axis{&p.X, &p.Y} {
				axis.Scale, axis.Tick.Marker = probit{}, ticks(at, names)
			}
			inside := func(x float64) float64 { return min(max(100*x, leastRate), mostRate) }
			var xys plotter.XYs
			for _, q := range thin(curve, points) {
				xys = append(xys, plotter.XY{X: inside(q.FalseAlarm), Y: inside(q.Miss)})
			}
			l, err := line(t.good, false, xys)
			if err != nil {
				return nil, err
			}
			diagonal, err := line(t.ink, true, plotter.XYs{{X: leastRate, Y: leastRate}, {X: mostRate, Y: mostRate}})
			if err != nil {
				return nil, err
			}
			p.Add(grid(t), diagonal, l)
			p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = leastRate, mostRate, leastRate, mostRate
			return [][]*plot.Plot{{p}}, nil
		},
	}
}
