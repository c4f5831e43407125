package report

import (
	"cmp"
	"math"
	"slices"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/detect"
	"gonum.org/v1/gonum/floats"
)

// share is a share of counted things, with the interval that holds the true one with 95 % confidence (Wilson, 1927).
type share struct {
	Of               int
	Value, Low, High float64 // in [0, 1]; 0, 0 and 1 of none
}

func shareOf(hits, of int) share {
	if of == 0 {
		return share{High: 1}
	}
	const z = 1.959964
	n, p := float64(of), float64(hits)/float64(of)
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return share{of, p, max(middle-half, 0), min(middle+half, 1)}
}

// class is how one label does.
type class struct {
	Label             string
	Clips             int
	Precision, Recall share
}

// answer returns the likeliest class of clip i, the first among equals, and its probability.
func answer(p calibrate.Probabilities, i int) (class int, probability float64) {
	class = floats.MaxIdx(p.Row(i))
	return class, p.Row(i)[class]
}

// confusion returns the numbers of clips by [true class][answer].
func confusion(p calibrate.Probabilities) [][]int {
	counts := make([][]int, p.Classes)
	for i := range counts {
		counts[i] = make([]int, p.Classes)
	}
	for i, truth := range p.Truth {
		c, _ := answer(p, i)
		counts[truth][c]++
	}
	return counts
}

func classesOf(labels []string, confusion [][]int) []class {
	list := make([]class, len(labels))
	for i, label := range labels {
		clips, answers := 0, 0
		for j := range labels {
			clips += confusion[i][j]
			answers += confusion[j][i]
		}
		list[i] = class{label, clips, shareOf(confusion[i][i], answers), shareOf(confusion[i][i], clips)}
	}
	return list
}

// mistake is how often clips of one class are taken for another.
type mistake struct {
	Truth, Answer, Clips int
	Share                float64 // of the clips of Truth
}

// mistakes returns at most n kinds, the most frequent ones first.
func mistakes(confusion [][]int, n int) (list []mistake) {
	for i, row := range confusion {
		clips := 0
		for _, k := range row {
			clips += k
		}
		for j, k := range row {
			if i != j && k > 0 {
				list = append(list, mistake{i, j, k, float64(k) / float64(clips)})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b mistake) int { return cmp.Compare(b.Clips, a.Clips) })
	return list[:min(n, len(list))]
}

// worst returns at most n of the clips that are classified wrongly, those with the smallest probability of the true
// class first, and how many there are in all.
func worst(p calibrate.Probabilities, n int) (clips []int, all int) {
	for i, truth := range p.Truth {
		if c, _ := answer(p, i); c != truth {
			clips = append(clips, i)
		}
	}
	slices.SortStableFunc(clips, func(a, b int) int {
		_, sureA := answer(p, a)
		_, sureB := answer(p, b)
		return cmp.Or(cmp.Compare(p.Row(a)[p.Truth[a]], p.Row(b)[p.Truth[b]]), cmp.Compare(sureB, sureA))
	})
	return clips[:min(n, len(clips))], len(clips)
}

// typical returns the clip of median confidence among those that are classified right, or -1.
func typical(p calibrate.Probabilities) int {
	var right []int
	for i, truth := range p.Truth {
		if c, _ := answer(p, i); c == truth {
			right = append(right, i)
		}
	}
	if len(right) == 0 {
		return -1
	}
	slices.SortStableFunc(right, func(a, b int) int {
		_, sureA := answer(p, a)
		_, sureB := answer(p, b)
		return cmp.Compare(sureA, sureB)
	})
	return right[len(right)/2]
}

// riskPoint is what answering only above a confidence gives.
type riskPoint struct {
	Confidence float64 // least one that is answered
	Coverage   float64 // share of the clips that are
	Risk       float64 // share of these that are wrong
}

// riskCoverage returns a point for each confidence that occurs, from the largest one, and the area under the curve: the
// mean risk over all coverages (El-Yaniv and Wiener, 2010).
func riskCoverage(p calibrate.Probabilities) (points []riskPoint, area float64) {
	type scored struct {
		confidence float64
		wrong      bool
	}
	list := make([]scored, p.Len())
	for i, truth := range p.Truth {
		c, v := answer(p, i)
		list[i] = scored{v, c != truth}
	}
	slices.SortFunc(list, func(a, b scored) int { return cmp.Compare(b.confidence, a.confidence) })
	wrong, begin := 0, 0
	for i, s := range list {
		if s.wrong {
			wrong++
		}
		if i+1 < len(list) && list[i+1].confidence == s.confidence {
			continue
		}
		risk := float64(wrong) / float64(i+1)
		points = append(points, riskPoint{s.confidence, float64(i+1) / float64(len(list)), risk})
		area += risk * float64(i+1-begin) / float64(len(list))
		begin = i + 1
	}
	return points, area
}

// coverageAt returns the point of the largest coverage whose risk is at most the given one.
func coverageAt(points []riskPoint, risk float64) (best riskPoint, ok bool) {
	for _, q := range points {
		if q.Risk <= risk {
			best, ok = q, true
		}
	}
	return best, ok
}

// detPoint is what taking a clip for a word from a threshold on gives.
type detPoint struct {
	Threshold  float64
	FalseAlarm float64 // share of the other clips that are taken for a word
	Miss       float64 // share of the words that are not
}

// detection returns the trade-off between taking other clips for words and words for something else. A clip's score is
// the sum of the probabilities of all words: of labels that are no background. The first point takes nothing for a
// word. equal is the error rate at which both are the same, between the points that are next to it.
func detection(p calibrate.Probabilities, labels []string) (points []detPoint, equal float64, words, others int) {
	type scored struct {
		score float64
		word  bool
	}
	list := make([]scored, p.Len())
	for i, truth := range p.Truth {
		for c, label := range labels {
			if !detect.Background(label) {
				list[i].score += p.Row(i)[c]
			}
		}
		if list[i].word = !detect.Background(labels[truth]); list[i].word {
			words++
		} else {
			others++
		}
	}
	if words == 0 || others == 0 {
		return nil, 0, words, others
	}
	slices.SortFunc(list, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	points, equal = []detPoint{{math.Inf(1), 0, 1}}, -1
	hits, alarms := 0, 0
	for i, s := range list {
		if s.word {
			hits++
		} else {
			alarms++
		}
		if i+1 < len(list) && list[i+1].score == s.score {
			continue
		}
		last := points[len(points)-1]
		q := detPoint{s.score, float64(alarms) / float64(others), 1 - float64(hits)/float64(words)}
		if before, now := last.Miss-last.FalseAlarm, q.Miss-q.FalseAlarm; equal < 0 && now <= 0 {
			equal = last.Miss + (q.Miss-last.Miss)*before/(before-now)
		}
		points = append(points, q)
	}
	return points, equal, words, others
}

// thin returns at most n of the points, evenly many between each two, the first and the last one included.
func thin[T any](points []T, n int) []T {
	if len(points) <= n {
		return points
	}
	list := make([]T, n)
	for i := range list {
		list[i] = points[i*(len(points)-1)/(n-1)]
	}
	return list
}
