package compress

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// CoNNTrA refines a model with narrow weights by coordinate descent over their levels, after Date, Carothers, Mitchell,
// Hendler and Magdon-Ismail, "Training deep neural networks with constrained learning parameters" (2020). Of the paper
// the abstract alone is public; this is a reading of it: coordinates are taken in random order, every level of one is
// tried, the best is kept, and a change is accepted when the loss on a cached batch does not grow.
//
// With Group above 1 the gradient says which way each level of a convolution should go by one, and what should gain
// more than the mean is tried together. Where the loss grows, both halves are tried, down to groups of that size. With
// a Teacher the same descent first fits the convolutions one by one to what they give in the teacher's network, for
// which no network need run.
type CoNNTrA struct {
	Teacher *polynet.Model // half of the targets are its probabilities, the labels are the other; nil: labels alone
	Batch   int            // clips of the cached batch, which each pass draws; it has all where there are not more
	Group   int            // at least 1
	Budget  time.Duration  // after which no further round begins; 0: only a pass without change ends the search
	Seed    int64
	File    string // written after each round, an ordinary model file that Resume continues from; "": none
	Resume  bool
	// Round is called after each round, on one convolution. It may be nil.
	Round func(pass, round, rounds int, loss float64)
}

// Name returns "conntra".
func (*CoNNTrA) Name() string { return "conntra" }

// rounds is the metric of a model's provenance that counts the rounds of the search.
const rounds = "conntra_rounds"

// Apply searches. It returns the model that is most accurate on the validation clips, of those after each pass and the
// given one. Where ctx ends, it returns ctx's error; File then has the state of the last whole round.
func (c *CoNNTrA) Apply(ctx context.Context, m *polynet.Model, d Data) (*polynet.Model, Report, error) {
	if m.Net.Narrow == nil {
		return nil, Report{}, fmt.Errorf("%w: the weights are float32, which have no levels to choose", ErrImpossible)
	}
	s := &descent{CoNNTrA: c, d: d, rows: normalised(m, d), model: m, begun: time.Now()}
	if err := s.resume(); err != nil {
		return nil, Report{}, err
	}
	if err := s.findTargets(); err != nil {
		return nil, Report{}, err
	}
	accuracy, err := d.Accuracy(ctx, m)
	if err != nil {
		return nil, Report{}, err
	}
	best, r, first := m, Report{}, s.round
	r.Lines = append(r.Lines, fmt.Sprintf("begins at %.2f %%", accuracy))
	if s.Teacher != nil && s.round == 0 {
		fitted, now, err := s.fitLayers(ctx, &r)
		if err != nil {
			return nil, r, err
		}
		if now > accuracy {
			s.model, best, accuracy = fitted, fitted, now
		}
	}
	for ended := false; !ended; {
		if ended, err = s.pass(ctx); err != nil {
			return nil, r, err
		}
		now, err := d.Accuracy(ctx, s.model)
		if err != nil {
			return nil, r, err
		}
		r.Lines = append(r.Lines, fmt.Sprintf("round %d: loss %.4f, before the pass %.4f; %d changes of %d tried; %.2f %%",
			s.round, s.after, s.before, s.accepted, s.tried, now))
		if now > accuracy {
			best, accuracy = s.model, now
		}
	}
	r.Done = fmt.Sprintf("%d rounds, %d levels changed, of %d evaluations; cached batch of %d clips, seed %d",
		s.round-first, s.allAccepted, s.evaluations, min(c.Batch, d.Clips), c.Seed)
	return best, r, nil
}

// fitLayers fits the convolutions one by one, and returns the more accurate of what that gives and of the same with
// norms matched.
func (s *descent) fitLayers(ctx context.Context, r *Report) (best *polynet.Model, accuracy float64, err error) {
	l := &layers{
		given: s.Teacher, d: s.d, rows: s.rows, rng: rand.New(rand.NewPCG(uint64(s.Seed), 1<<33)),
		levels: s.mostLevel(),
	}
	fitted, err := l.fit(ctx, s.model)
	if err != nil {
		return nil, 0, err
	}
	again, err := matched(fitted, s.Teacher, s.d)
	if err != nil {
		return nil, 0, err
	}
	for _, m := range []*polynet.Model{fitted, again} {
		now, err := s.d.Accuracy(ctx, m)
		if err != nil {
			return nil, 0, err
		}
		if best == nil || now > accuracy {
			best, accuracy = m, now
		}
	}
	r.Lines = append(r.Lines, fmt.Sprintf("convolutions fitted one by one: %.2f %%", accuracy))
	return best, accuracy, nil
}

// mostLevel returns the largest level.
func (s *descent) mostLevel() int8 {
	if s.model.Net.Narrow.Weights == polynet.Int8 {
		return polynet.MaxLevel
	}
	return 1
}

// descent is a CoNNTrA at work.
type descent struct {
	*CoNNTrA
	d             Data
	rows, targets []float32
	model         *polynet.Model
	round         int // rounds done
	begun         time.Time

	before, after   float64 // the losses of the latest pass
	tried, accepted int     // its changes
	evaluations     int
	allAccepted     int
}

// resume takes the model and the number of rounds from the file.
func (s *descent) resume() error {
	if !s.Resume {
		return nil
	}
	m, err := polynet.Load(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if m.Net.Narrow == nil || len(m.Weights) != len(s.model.Weights) || m.Net.Block != s.model.Net.Block {
		return fmt.Errorf("%w: %s is of another network", ErrImpossible, s.File)
	}
	resumed := *s.model
	resumed.Weights = m.Weights
	if err := resumed.Validate(); err != nil {
		return fmt.Errorf("%s: %w", s.File, err)
	}
	s.model, s.round = &resumed, int(m.Provenance.Metrics[rounds])
	return nil
}

// findTargets sets the target probabilities of all clips.
func (s *descent) findTargets() error {
	classes := len(s.model.Labels)
	s.targets = make([]float32, s.d.Clips*classes)
	training.Targets(s.targets, s.d.Labels, classes, 0)
	if s.Teacher == nil {
		return nil
	}
	a, err := training.NewActivations(s.Teacher, s.d.Device)
	if err != nil {
		return err
	}
	defer a.Close()
	size := len(s.rows) / s.d.Clips
	logits := polynet.Output(len(s.Teacher.Net.Program().Steps) - 1)
	for first := 0; first < s.d.Clips; first += momentsBatch {
		n := min(momentsBatch, s.d.Clips-first)
		a.Run(s.rows[first*size:(first+n)*size], n)
		for i, row := range slices.Collect(slices.Chunk(a.Rows(logits), classes)) {
			p := toFloat64(row)
			if !polynet.Softmax(p, 1) {
				continue
			}
			to := s.targets[(first+i)*classes:][:classes]
			for k, v := range p {
				to[k] = (to[k] + float32(v)) / 2
			}
		}
	}
	return nil
}

// pass visits each narrow step once, in random order, and reports whether the search ends.
func (s *descent) pass(ctx context.Context) (ended bool, err error) {
	c, err := training.NewCoordinates(s.model, s.d.Device)
	if err != nil {
		return false, err
	}
	defer c.Close()
	steps := c.Steps()
	number, size, classes := s.round/len(steps), len(s.rows)/s.d.Clips, len(s.model.Labels)
	rng := rand.New(rand.NewPCG(uint64(s.Seed), uint64(number)))
	var rows, targets []float32
	chosen := rng.Perm(s.d.Clips)[:min(s.Batch, s.d.Clips)]
	for _, i := range chosen {
		rows = append(rows, s.rows[i*size:(i+1)*size]...)
		targets = append(targets, s.targets[i*classes:(i+1)*classes]...)
	}
	order := rng.Perm(len(steps))
	whole := s.round%len(steps) == 0
	s.before, s.tried, s.accepted = c.Begin(rows, targets, len(chosen)), 0, 0
	for at := s.round % len(steps); at < len(steps) && !ended; at++ {
		if err := s.visit(ctx, c, steps[order[at]]); err != nil {
			return false, err
		}
		s.round++
		if s.Round != nil {
			s.Round(number+1, at+1, len(steps), c.Loss())
		}
		s.model = s.with(c.Weights())
		ended = s.Budget > 0 && time.Since(s.begun) >= s.Budget
		if err := s.save(); err != nil {
			return false, err
		}
	}
	s.after = c.Loss()
	s.allAccepted += s.accepted
	if s.accepted == 0 && whole {
		return true, nil
	}
	return ended, s.renorm(c, rows, targets, len(chosen))
}

// with returns the model with other weights.
func (s *descent) with(w polynet.Weights) *polynet.Model {
	m := *s.model
	m.Weights = w
	m.Provenance.Metrics = maps.Clone(m.Provenance.Metrics)
	if m.Provenance.Metrics == nil {
		m.Provenance.Metrics = map[string]float64{}
	}
	m.Provenance.Metrics[rounds] = float64(s.round)
	return &m
}

func (s *descent) save() error {
	if s.File == "" {
		return nil
	}
	return s.model.Save(s.File)
}

// renorm matches the norms with the teacher's, where that does not raise the loss.
func (s *descent) renorm(c *training.Coordinates, rows, targets []float32, clips int) error {
	if s.Teacher == nil {
		return nil
	}
	m, err := matched(s.model, s.Teacher, s.d)
	if err != nil {
		return err
	}
	other, err := training.NewCoordinates(m, s.d.Device)
	if err != nil {
		return err
	}
	defer other.Close()
	if loss := other.Begin(rows, targets, clips); loss <= c.Loss() {
		s.model, s.after = m, loss
	}
	return s.save()
}

// visit tries changes of one step's levels.
func (s *descent) visit(ctx context.Context, c *training.Coordinates, step int) error {
	rng := rand.New(rand.NewPCG(uint64(s.Seed), 1<<32+uint64(s.round)))
	levels, most := c.Levels(step), s.mostLevel()
	if s.Group > 1 {
		return s.together(ctx, c, candidates(c.Gains(step), levels, step, most, rng))
	}
	for _, at := range rng.Perm(len(levels)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		best, least := training.Change{}, math.Inf(1)
		for level := max(-most, levels[at]-2); level <= min(most, levels[at]+2); level++ {
			if level == levels[at] {
				continue
			}
			change := training.Change{Step: step, At: at, Level: level}
			s.tried, s.evaluations = s.tried+1, s.evaluations+1
			if loss := c.Try([]training.Change{change}); loss < least {
				best, least = change, loss
			}
		}
		if least < c.Loss() || least == c.Loss() && rng.IntN(2) == 0 {
			c.Accept(c.Try([]training.Change{best}))
			s.accepted++
		}
	}
	return nil
}

// candidates returns, in random order, the changes by one that should gain more than the mean of those that gain.
func candidates(gains []float32, levels []int8, step int, most int8, rng *rand.Rand) []training.Change {
	var list []training.Change
	sum := 0.0
	for at, gain := range gains {
		level := levels[at] + 1
		if gain < 0 {
			level = levels[at] - 1
		}
		if gain != 0 && level <= most && level >= -most {
			list = append(list, training.Change{Step: step, At: at, Level: level})
			sum += math.Abs(float64(gain))
		}
	}
	mean := sum / float64(len(list))
	list = slices.DeleteFunc(list, func(c training.Change) bool { return math.Abs(float64(gains[c.At])) < mean })
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// together tries changes together, and where the loss grows each half, down to the size of a group.
func (s *descent) together(ctx context.Context, c *training.Coordinates, changes []training.Change) error {
	if err := ctx.Err(); err != nil || len(changes) == 0 {
		return err
	}
	s.evaluations++
	if loss := c.Try(changes); loss <= c.Loss() {
		c.Accept(loss)
		s.tried, s.accepted = s.tried+len(changes), s.accepted+len(changes)
		return nil
	}
	if len(changes) <= s.Group {
		s.tried += len(changes)
		return nil
	}
	half := len(changes) / 2
	if err := s.together(ctx, c, changes[:half]); err != nil {
		return err
	}
	return s.together(ctx, c, changes[half:])
}
