package main

import (
	"context"
	"fmt"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/polynet"
)

// fitUnknown stores in the model how sounds of no known class are told, and prints how well each score does.
func (c *calibrateCmd) fitUnknown(
	ctx context.Context, m *measurer, calibrated *polynet.Model, raw calibrate.Logits, s program.Streams,
) error {
	clips := *m.embeddings
	*m.embeddings = calibrate.Embeddings{}
	unknown, err := m.windows(ctx, c.Unknown, s.Err)
	if err != nil {
		return err
	}
	windows := *m.embeddings
	cool := calibrate.Cooled(calibrated)
	known := calibrate.Logits(raw.Map(cool))
	for _, row := range unknown {
		cool(row)
	}
	u, by, err := calibrate.FitUnknown(known, unknown, calibrated.Labels, c.Lost/100)
	if err != nil {
		return err
	}
	calibrated.Calibration.Unknown = u
	safe.Fprintf(s.Out, "\n%d windows of unknown sounds against %d clips:\n\n", len(unknown), known.Len())
	t := table{columns: "ldd"}
	t.row("score", "AUROC", "taken for known where 95 % of the known are kept, %")
	for _, score := range confidence.Unfamiliarities {
		if d, ok := by[score]; ok {
			fewer := min(len(unknown), known.Len())
			t.row(string(score), share(d.AUROC, fewer), percent(100*d.FPR95, len(unknown)))
		}
	}
	distances, err := separateByEmbedding(clips, windows, calibrated.Labels)
	if err != nil {
		return err
	}
	for _, d := range distances {
		t.row(d.name, share(d.AUROC, min(len(unknown), known.Len()/2)), percent(100*d.FPR95, len(unknown)))
	}
	return t.write(s.Out)
}

// neighbour is which of the nearest embeddings counts.
const neighbour = 5

type embeddingScore struct {
	name string
	calibrate.Separation
}

// separateByEmbedding returns how well distances of embeddings tell windows of unknown sounds from clips of known
// classes, to be compared with: models do not store them, since streams compute no embeddings. Every second clip is
// what the others are compared with.
func separateByEmbedding(clips, unknown calibrate.Embeddings, labels []string) (list []embeddingScore, err error) {
	bank, known := calibrate.Embeddings{Width: clips.Width}, calibrate.Embeddings{Width: clips.Width}
	for i, class := range clips.Truth {
		to := &bank
		if i%2 == 1 {
			to = &known
		}
		if !detect.Background(labels[class]) {
			to.Values = append(to.Values, clips.Values[i*clips.Width:(i+1)*clips.Width]...)
			to.Truth = append(to.Truth, class)
		}
	}
	if len(bank.Truth) == 0 || len(known.Truth) == 0 || len(unknown.Truth) == 0 {
		return nil, nil
	}
	mahalanobis, err := bank.Mahalanobis()
	if err != nil {
		return nil, err
	}
	for _, s := range []struct {
		name string
		of   calibrate.Distance
	}{
		{"embedding, Mahalanobis", mahalanobis},
		{fmt.Sprintf("embedding, neighbour %d", neighbour), bank.Neighbours(neighbour)},
	} {
		list = append(list, embeddingScore{s.name, calibrate.Separate(known.Distances(s.of), unknown.Distances(s.of))})
	}
	return list, nil
}
