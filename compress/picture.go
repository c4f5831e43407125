package compress

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// draw writes, into a folder, clusters.csv, a table of all channels, and for each group of similarity the tree of its
// channels with the height at which it was cut, as GROUP.svg.
func (s *search) draw(dir string, height float64, widths []int) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, "clusters.csv"))
	if err != nil {
		return err
	}
	defer file.Close()
	table := csv.NewWriter(file)
	table.Write([]string{"group", "channel", "kept", "representative", "score", "joins_at"})
	for i, g := range s.channels.groups {
		r := &s.rankings[i]
		k, joins := r.choose(widths[i], g.width), joined(r.merges, g.width)
		for channel := range g.width {
			row := []string{g.name, strconv.Itoa(channel), "false", "", "", ""}
			for _, keep := range k.keep {
				if keep == channel {
					row[2] = "true"
				}
			}
			if k.representative != nil {
				row[3] = strconv.Itoa(k.representative[channel])
			}
			if r.score != nil {
				row[4] = fmt.Sprintf("%.4g", r.score[channel])
			}
			if r.merges != nil {
				row[5] = fmt.Sprintf("%.4g", joins[channel])
			}
			table.Write(row)
		}
		if r.merges != nil {
			if err := r.dendrogram(&g, height, filepath.Join(dir, g.name+".svg")); err != nil {
				return err
			}
		}
	}
	table.Flush()
	if err := table.Error(); err != nil {
		return err
	}
	return file.Close()
}

// joined returns the height at which each channel joins another one.
func joined(merges []merge, n int) []float64 {
	heights := make([]float64, n)
	for _, m := range merges {
		for _, i := range []int{m.a, m.b} {
			if i < n {
				heights[i] = m.height
			}
		}
	}
	return heights
}

// dendrogram draws the tree of a group's merges. Leaves stand in an order in which no branches cross.
func (r *ranking) dendrogram(g *group, height float64, path string) error {
	x, y := make([]float64, g.width+len(r.merges)), make([]float64, g.width+len(r.merges))
	next := 0.0
	var place func(cluster int)
	place = func(cluster int) {
		if cluster < g.width {
			x[cluster] = next
			next++
			return
		}
		m := r.merges[cluster-g.width]
		place(m.a)
		place(m.b)
		x[cluster], y[cluster] = (x[m.a]+x[m.b])/2, m.height
	}
	place(g.width + len(r.merges) - 1)
	p := plot.New()
	p.Title.Text, p.Y.Label.Text, p.X.Label.Text = g.name, "distance", "channels"
	p.HideX()
	for _, m := range r.merges {
		line, err := plotter.NewLine(plotter.XYs{
			{X: x[m.a], Y: y[m.a]}, {X: x[m.a], Y: m.height}, {X: x[m.b], Y: m.height}, {X: x[m.b], Y: y[m.b]},
		})
		if err != nil {
			return err
		}
		p.Add(line)
	}
	if height > 0 {
		cut, err := plotter.NewLine(plotter.XYs{{X: 0, Y: height}, {X: next - 1, Y: height}})
		if err != nil {
			return err
		}
		cut.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		p.Add(cut)
	}
	return p.Save(max(4, vg.Length(g.width)/16)*vg.Inch, 3*vg.Inch, path)
}
