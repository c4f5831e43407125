package calibrate

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/detect"
	"gonum.org/v1/gonum/floats"
)

// Separation is how well a score tells unknown sounds from known ones.
type Separation struct {
	AUROC float64 `json:"auroc"`  // the probability that an unknown sound has the higher score, 0 to 1; ties count half
	FPR95 float64 `json:"fpr_95"` // the share of unknown sounds taken for known where 95 % of the known ones are kept
}

// Separate returns how well scores tell unknown sounds from known ones. Both lists hold at least one finite score.
func Separate(known, unknown []float64) Separation {
	type scored struct {
		score   float64
		unknown bool
	}
	list := make([]scored, 0, len(known)+len(unknown))
	for _, s := range known {
		list = append(list, scored{s, false})
	}
	for _, s := range unknown {
		list = append(list, scored{s, true})
	}
	slices.SortFunc(list, func(a, b scored) int { return cmp.Compare(a.score, b.score) })
	ranks := 0.0 // of the unknown ones: Mann and Whitney's statistic
	for i := 0; i < len(list); {
		j := i + 1
		for j < len(list) && list[j].score == list[i].score {
			j++
		}
		for _, s := range list[i:j] {
			if s.unknown {
				ranks += float64(i+1+j) / 2
			}
		}
		i = j
	}
	n, m := float64(len(unknown)), float64(len(known))
	limit := quantile(known, 0.95)
	taken := 0.0
	for _, s := range unknown {
		if s <= limit {
			taken++
		}
	}
	return Separation{AUROC: (ranks - n*(n+1)/2) / (n * m), FPR95: taken / n}
}

// quantile returns the smallest value that at least a share of the values do not exceed.
func quantile(values []float64, share float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(max(int(math.Ceil(share*float64(len(sorted))))-1, 0), len(sorted)-1)]
}

// FitUnknown returns what tells unknown sounds, rows of logits of the same model, from clips of the known classes in l,
// and how well each score does. The score with the largest AUROC is taken. Its threshold is the lowest at which at most
// lost, a share such as 0.005, of the known clips that are classified right are taken for unknown; its slope is that of
// a logistic regression, both sides counting alike.
func FitUnknown(l Logits, unknown [][]float64, labels []string, lost float64) (
	u *confidence.Unknown, by map[confidence.Unfamiliarity]Separation, err error,
) {
	if err := l.Check(); err != nil {
		return nil, nil, err
	}
	known := l.known(labels)
	if len(known) == 0 || len(unknown) == 0 {
		return nil, nil, fmt.Errorf("%w: %d clips of known classes and %d unknown sounds", ErrData, len(known), len(unknown))
	}
	by = map[confidence.Unfamiliarity]Separation{}
	for _, score := range confidence.Unfamiliarities {
		if score == confidence.Background && !slices.ContainsFunc(labels, detect.Background) {
			continue
		}
		by[score] = Separate(scoresOf(score, known, labels), scoresOf(score, unknown, labels))
		if u == nil || by[score].AUROC > by[u.Score].AUROC {
			u = &confidence.Unknown{Score: score}
		}
	}
	scores := append(scoresOf(u.Score, known, labels), scoresOf(u.Score, unknown, labels)...)
	isUnknown := make([]bool, len(scores))
	for i := range unknown {
		isUnknown[len(known)+i] = true
	}
	slope, _ := plattFit(scores, isUnknown)
	u.Slope = max(slope, minSlope)
	u.Threshold = lowestThreshold(*u, known, labels, lost)
	return u, by, nil
}

// minSlope keeps a score that does not separate anything from being read the wrong way round.
const minSlope = 1e-3

// lowestThreshold returns the threshold between the scores of known rows at which a share of them is lost: taken for
// unknown, since that is likelier than each known class.
func lowestThreshold(u confidence.Unknown, known [][]float64, labels []string, share float64) float64 {
	scores := scoresOf(u.Score, known, labels)
	margin := 10 / u.Slope // beyond it, the probability is 0 or 1 for every purpose
	low, high := slices.Min(scores)-margin, slices.Max(scores)+margin
	for high-low > 1e-9*margin {
		u.Threshold = (low + high) / 2
		lost := 0
		for _, row := range known {
			if u.Rejects(row, labels) {
				lost++
			}
		}
		if float64(lost) <= share*float64(len(known)) {
			high = u.Threshold
		} else {
			low = u.Threshold
		}
	}
	return high
}

// known returns the rows of the clips of known classes that are classified right.
func (l Logits) known(labels []string) (rows [][]float64) {
	for i, truth := range l.Truth {
		if row := l.Row(i); !detect.Background(labels[truth]) && floats.MaxIdx(row) == truth {
			rows = append(rows, row)
		}
	}
	return rows
}

func scoresOf(u confidence.Unfamiliarity, rows [][]float64, labels []string) []float64 {
	scores := make([]float64, len(rows))
	for i, row := range rows {
		scores[i] = u.Of(row, labels)
	}
	return scores
}
