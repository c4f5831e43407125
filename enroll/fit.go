package enroll

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/calibrate"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

const (
	folds   = 5    // of the background, each scored by what the others make
	ridge   = 0.05 // times the mean variance, added to each variance
	certain = 4    // logit of what is like the mean of a word's clips
	minGap  = 0.05 // from the threshold to that mean, at least, so that logits stay finite
)

// fitter fits linear detectors of words against a background. The direction is Fisher's discriminant of a word's mean
// against all of the background, C⁻¹(mean − background), C being the covariance of all the background, in which
// words count alike: directions in which other words differ from one another do not tell this word from them.
type fitter struct {
	b       *Background
	classes []bool // that count
	fold    []int  // of each row, -1 where its class does not count
	all     space
	without [folds]space // the rows of one fold
}

// space is the mean and the covariance of rows.
type space struct {
	mean   *mat.VecDense
	factor mat.Cholesky
}

// moments are weighted sums over rows.
type moments struct {
	weight float64
	sum    *mat.VecDense
	square *mat.SymDense
}

func newMoments(width int) moments {
	return moments{0, mat.NewVecDense(width, nil), mat.NewSymDense(width, nil)}
}

// newFitter returns a fitter of a word, which is left out of the background. Running sound has a weight from 0 to 1.
func newFitter(b *Background, word string, running float64) (*fitter, error) {
	width := b.Rows.Width
	f := &fitter{b: b, fold: make([]int, len(b.Rows.Truth))}
	count := make([]int, len(b.Classes))
	for _, class := range b.Rows.Truth {
		count[class]++
	}
	words, windows := 0, 0
	for i, c := range b.Classes {
		use := !c.named(word) && count[i] > 0
		f.classes = append(f.classes, use)
		switch {
		case use && c.Running:
			windows += count[i]
		case use:
			words++
		}
	}
	if words == 0 && windows == 0 {
		return nil, fmt.Errorf("%w: there is no other sound to tell %q from", calibrate.ErrData, word)
	}
	var parts [folds]moments
	for k := range parts {
		parts[k] = newMoments(width)
	}
	seen := make([]int, len(b.Classes))
	for i, class := range b.Rows.Truth {
		f.fold[i] = -1
		if !f.classes[class] {
			continue
		}
		weight := 1 / float64(max(words, 1)*count[class])
		f.fold[i] = seen[class] % folds
		if b.Classes[class].Running {
			weight = running / float64(windows)
			f.fold[i] = class % folds // windows overlap
		} else if windows > 0 {
			weight *= 1 - running
		}
		seen[class]++
		parts[f.fold[i]].add(b.row(i), weight)
	}
	total := newMoments(width)
	for _, p := range parts {
		total.plus(p, 1)
	}
	if err := f.all.set(total); err != nil {
		return nil, err
	}
	for k, p := range parts {
		rest := newMoments(width)
		rest.plus(total, 1)
		rest.plus(p, -1)
		if rest.weight < 0.1*total.weight { // all rows are in one fold
			rest = total
		}
		if err := f.without[k].set(rest); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (b *Background) row(i int) []float64 { return b.Rows.Values[i*b.Rows.Width : (i+1)*b.Rows.Width] }

func (m *moments) add(row []float64, weight float64) {
	m.weight += weight
	x := mat.NewVecDense(len(row), row)
	m.sum.AddScaledVec(m.sum, weight, x)
	m.square.SymRankOne(m.square, weight, x)
}

// plus adds a factor times o.
func (m *moments) plus(o moments, factor float64) {
	m.weight += factor * o.weight
	m.sum.AddScaledVec(m.sum, factor, o.sum)
	n := m.square.SymmetricDim()
	for i := range n {
		for j := i; j < n; j++ {
			m.square.SetSym(i, j, m.square.At(i, j)+factor*o.square.At(i, j))
		}
	}
}

func (s *space) set(m moments) error {
	n := m.sum.Len()
	s.mean = mat.NewVecDense(n, nil)
	s.mean.ScaleVec(1/m.weight, m.sum)
	covariance := mat.NewSymDense(n, nil)
	covariance.CopySym(m.square)
	covariance.ScaleSym(1/m.weight, covariance)
	covariance.SymRankOne(covariance, -1, s.mean)
	added := ridge*mat.Trace(covariance)/float64(n) + math.SmallestNonzeroFloat32
	for i := range n {
		covariance.SetSym(i, i, covariance.At(i, i)+added)
	}
	if !s.factor.Factorize(covariance) {
		return fmt.Errorf("%w: the covariance of the other sounds is singular", calibrate.ErrData)
	}
	return nil
}

// score is a linear score of embeddings, 0 at the background's mean and 1 at the word's.
type score struct {
	direction []float64
	offset    float64
}

func (s score) of(row []float64) float64 { return floats.Dot(s.direction, row) - s.offset }

// scoreOf returns the score of a word whose clips have this mean.
func (s *space) scoreOf(mean []float64) (score, error) {
	var difference, direction mat.VecDense
	difference.SubVec(mat.NewVecDense(len(mean), mean), s.mean)
	if err := s.factor.SolveVecTo(&direction, &difference); err != nil {
		return score{}, err
	}
	distance := mat.Dot(&direction, &difference)
	if !(distance > math.SmallestNonzeroFloat32) {
		return score{}, fmt.Errorf("%w: the clips are like the mean of all other sounds", calibrate.ErrData)
	}
	direction.ScaleVec(1/distance, &direction)
	return score{direction.RawVector().Data, mat.Dot(&direction, s.mean)}, nil
}

// crossScores calls use with each row of the background that counts and its score by what the rows of other folds make.
func (f *fitter) crossScores(mean []float64, use func(row int, score float64)) error {
	var by [folds]score
	for k := range by {
		var err error
		if by[k], err = f.without[k].scoreOf(mean); err != nil {
			return err
		}
	}
	for i, k := range f.fold {
		if k >= 0 {
			use(i, by[k].of(f.b.row(i)))
		}
	}
	return nil
}

// threshold returns the score that a share of the clips of other words exceed. Where there are none, windows of running
// sound take their place.
func (f *fitter) threshold(mean []float64, share float64) (float64, error) {
	var words, windows []float64
	err := f.crossScores(mean, func(row int, score float64) {
		if f.b.Classes[f.b.Rows.Truth[row]].Running {
			windows = append(windows, score)
		} else {
			words = append(words, score)
		}
	})
	if len(words) == 0 {
		words = windows
	}
	slices.SortFunc(words, func(a, b float64) int { return cmp.Compare(b, a) })
	if err != nil {
		return 0, err
	}
	return words[min(int(share*float64(len(words))), len(words)-1)], nil
}

// meanOf returns the mean of the rows of clips for which use is true, each clip counting alike.
func meanOf(rows calibrate.Embeddings, use func(clip int) bool) []float64 {
	mean := make([]float64, rows.Width)
	n := 0.0
	for i, clip := range rows.Truth {
		if use(clip) {
			floats.Add(mean, rows.Values[i*rows.Width:(i+1)*rows.Width])
			n++
		}
	}
	floats.Scale(1/max(n, 1), mean)
	return mean
}
