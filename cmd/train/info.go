package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/models"
)

type infoCmd struct {
	Model string `arg:"" optional:"" help:"${modelHelp}" placeholder:"FILE"`
}

func (c *infoCmd) Run(s program.Streams) error {
	m, err := models.Open(c.Model)
	if err != nil {
		return modelError(err)
	}
	f, n, net, p := m.Features, m.Net, m.Net.Program(), m.Provenance
	t := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	row("labels", "%d: %s", len(m.Labels), strings.Join(m.Labels, " "))
	row("window", "%g s", m.Window)
	row("features", "%d %s mels, %g-%g Hz, from %d Hz sound; window %d, hop %d, FFT %d samples",
		f.Mels, f.Scale, f.MinHz, f.MaxHz, f.Rate, f.Window, f.Hop, f.FFT)
	if n.Block.Decomposition() {
		row("blocks", "%s of degree %d", n.Block, n.Degree)
	} else {
		row("blocks", "%s", n.Block)
	}
	row("degree", "%s", net.DescribeDegree())
	row("stem", "width %d, kernel %d, ahead %d, stride %d", n.Stem.Width, n.Stem.Kernel, n.Stem.Ahead, n.Stem.Stride)
	for i, st := range n.Stages {
		row(fmt.Sprintf("stage %d", i+1), "%d blocks of width %d, kernel %d, ahead %d, stride %d",
			st.Blocks, st.Width, st.Kernel, st.Ahead, st.Stride)
	}
	row("parameters", "%d", net.Parameters())
	second := f.Frames(f.Rate)
	row("MACs", "%.1f million per second of audio", float64(net.MACs(second))/1e6)
	row("lookahead", "%d ms", n.Lookahead(f)/time.Millisecond)
	row("temperature", "%g", m.Temperature)
	d := m.DetectionConfig()
	own := ""
	if m.Detection == nil {
		own = " (the default)"
	}
	row("detection", "threshold %.3g, smoothing %.3g s, release %.3g, minimum duration %.3g s, refractory time %.3g s%s",
		d.Threshold, d.Smoothing, d.Release, d.MinDuration, d.Refractory, own)
	for _, label := range slices.Sorted(maps.Keys(d.Thresholds)) {
		row("", "threshold of %s %g", label, d.Thresholds[label])
	}
	row("trained by", "%s", p.Command)
	row("data", "%s", p.Data)
	row("seed", "%d", p.Seed)
	row("commit", "%s", p.Commit)
	row("epochs", "%d, best %d", p.Epochs, p.BestEpoch)
	row("created", "%s", p.Created)
	for _, name := range slices.Sorted(maps.Keys(p.Metrics)) {
		row(name, "%.4g", p.Metrics[name])
	}
	return t.Flush()
}
