package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/models"
)

type infoCmd struct {
	Model string `arg:"" optional:"" help:"${modelHelp}" placeholder:"MODEL"`
}

func (c *infoCmd) Run(s program.Streams) error {
	m, err := models.Open(c.Model)
	if err != nil {
		return modelError(err)
	}
	f, n, net, p := m.Features, m.Net, m.Net.Program(), m.Provenance
	t := table{columns: "l"}
	row := func(name, format string, args ...any) { t.row(name, fmt.Sprintf(format, args...)) }
	row("labels", "%d: %s", len(m.Labels), strings.Join(m.Labels, " "))
	row("window", "%g s", m.Window)
	row("features", "%d %s mels, %g-%g Hz, from %d Hz sound; window %d, hop %d, FFT %d samples",
		f.Mels, f.Scale, f.MinHz, f.MaxHz, f.Rate, f.Window, f.Hop, f.FFT)
	switch {
	case n.Block.Decomposition():
		row("blocks", "%s of degree %d", n.Block, n.Degree)
	case n.Expansion != 0:
		row("blocks", "%s of expansion %d", n.Block, n.Expansion)
	default:
		row("blocks", "%s", n.Block)
	}
	row("degree", "%s", net.DescribeDegree())
	row("stem", "width %d, kernel %d, ahead %d, stride %d", n.Stem.Width, n.Stem.Kernel, n.Stem.Ahead, n.Stem.Stride)
	for i, st := range n.Stages {
		row(fmt.Sprintf("stage %d", i+1), "%d blocks of width %d, kernel %d, ahead %d, stride %d",
			st.Blocks, st.Width, st.Kernel, st.Ahead, st.Stride)
	}
	if len(n.Inner) > 0 {
		row("inner widths", "%v", n.Inner)
	}
	row("parameters", "%d", net.Parameters())
	weights, bits := net.WeightBits()
	row("weights", "%d of %s, %.3g bits each, %.1f KB", weights, n.Precision(), bits/float64(weights), bits/8e3)
	second := f.Frames(f.Rate)
	row("MACs", "%.1f million per second of audio", float64(net.MACs(second))/1e6)
	row("lookahead", "%d ms", n.Lookahead(f)/time.Millisecond)
	row("temperature", "%.4g", m.Temperature)
	if c := m.Calibration; c != nil {
		row("calibration", "%s", c)
	}
	d := m.DetectionConfig()
	own := ""
	if m.Detection == nil {
		own = " (the default)"
	}
	row("detection",
		"threshold %.3g, smoothing %.3g s, release %.3g, minimum duration %.3g s, refractory time %.3g s%s",
		d.Threshold, d.Smoothing, d.Release, d.MinDuration, d.Refractory, own)
	for _, label := range slices.Sorted(maps.Keys(d.Thresholds)) {
		row("", "threshold of %s %g", label, d.Thresholds[label])
	}
	row("trained by", "%s", p.Command)
	for _, done := range p.Compressed {
		row("compressed", "%s", done)
	}
	row("data", "%s", p.Data)
	for _, source := range p.Sources {
		row("source", "%s", source)
	}
	row("seed", "%d", p.Seed)
	row("commit", "%s", p.Commit)
	row("epochs", "%d, best %d", p.Epochs, p.BestEpoch)
	row("created", "%s", p.Created)
	for _, name := range slices.Sorted(maps.Keys(p.Metrics)) {
		row(name, "%s", metric(p.Metrics, name))
	}
	return t.write(s.Out)
}

// metric formats a metric. The number of clips that it was measured on, where the model has it, is another one.
func metric(metrics map[string]float64, name string) string {
	split, kind := name, ""
	if at := strings.LastIndexByte(name, '_'); at >= 0 {
		split, kind = name[:at], name[at+1:]
	}
	clips := metrics[split+"_clips"]
	if clips == 0 {
		first, _, _ := strings.Cut(split, "_") // valid_context has the clips of valid
		clips = metrics[first+"_clips"]
	}
	switch v, n := metrics[name], int(clips); {
	case kind == "accuracy" && n > 0:
		return percent(v, n)
	case kind == "nll" && n > 0:
		return nats(v, n)
	case kind == "clips":
		return fixed(v, 0)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}
