// Command enroll makes the embedded backgrounds of package enroll, and measures enrolled words.
//
//	enroll background --commands DIR --speech DIR --model base --out enroll/base.background
//	enroll measure    --commands DIR --model base --results bench/enroll/results.csv
//	enroll wake       --commands DIR --speech DIR --model base --clips 10 --results bench/enroll/wake.csv
//	enroll table      --results FILE
package main

import (
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/enroll"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// job is a command line.
type job struct {
	commands, speech, model, out, results string
	clips, draws                          int
	words                                 string
	share                                 float64

	m      *polynet.Model
	e      *enroll.Embedder
	splits map[datasets.Split]map[string][]string // clips by word
	made   *enroll.Background                     // what words are made with: for wake, with the sound
	sound  enroll.Sound

	padded   map[string]padded    // by path
	clipRows map[string][]float64 // embeddings by path
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("enroll background|measure|wake|table ...")
	}
	j := job{padded: map[string]padded{}, clipRows: map[string][]float64{}}
	f := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	f.StringVar(&j.commands, "commands", "", "folder of Speech Commands")
	f.StringVar(&j.speech, "speech", "", "folder of running speech, with train, valid and test in it")
	f.StringVar(&j.model, "model", "base", "model")
	f.StringVar(&j.out, "out", "", "background to write")
	f.StringVar(&j.results, "results", "", "CSV file of results, to which those that are missing are added")
	f.IntVar(&j.clips, "clips", 5, "clips that a word is enrolled with")
	f.IntVar(&j.draws, "draws", 3, "draws of these clips")
	f.StringVar(&j.words, "words", "", "words to measure, separated by commas; default: those that are no labels")
	f.Float64Var(&j.share, "taken", 1.25, "percentage of clips in the background that may be taken for a word")
	f.Parse(os.Args[2:])
	if err := j.run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func (j *job) run(command string) (err error) {
	if command == "table" {
		return table(j.results)
	}
	if j.m, err = models.Open(j.model); err != nil {
		return err
	}
	dev, err := device.CPU(0)
	if err != nil {
		return err
	}
	if j.e, err = enroll.NewEmbedder(j.m, dev); err != nil {
		return err
	}
	defer j.e.Close()
	if err := j.find(); err != nil {
		return err
	}
	switch command {
	case "background":
		b, err := j.newBackground()
		if err != nil {
			return err
		}
		return atomicfile.Write(j.out, b.Write)
	case "measure":
		return j.eachDraw([]string{"word", "draw", "clips", "tested", "found", "others", "taken", "expected"}, j.measure)
	case "wake":
		return j.eachDraw([]string{
			"word", "draw", "clips", "missed", "events", "hours", "tested", "found", "others", "taken", "test events",
			"test hours",
		}, j.wake)
	}
	return fmt.Errorf("no command %s", command)
}

// find finds the clips.
func (j *job) find() error {
	set, err := datasets.Open(j.commands, datasets.Options{})
	if err != nil {
		return err
	}
	j.splits = map[datasets.Split]map[string][]string{}
	for _, it := range set.Items {
		for _, split := range []datasets.Split{it.Split, datasets.All} {
			if j.splits[split] == nil {
				j.splits[split] = map[string][]string{}
			}
			j.splits[split][it.Word] = append(j.splits[split][it.Word], it.Path)
		}
	}
	return nil
}

const (
	wordClips   = 40 // of a word in the background
	windowShare = 12 // every so many windows of speech are in the background
)

// background returns the embedded background of the model, or one that is made like it.
func (j *job) background() (*enroll.Background, error) {
	b, err := j.e.Background()
	if err != nil || b != nil {
		return b, err
	}
	return j.newBackground()
}

// newBackground returns one of training clips of all words, of noise, and of windows of the training speech.
func (j *job) newBackground() (*enroll.Background, error) {
	ctx := context.Background()
	b := j.e.NewBackground()
	b.Sources = []polynet.Source{
		{Name: "Speech Commands", Licence: "CC BY 4.0", Attribution: "Pete Warden and Google"},
		{Name: "LibriSpeech train-clean-100", Licence: "CC BY 4.0", Attribution: "Vassil Panayotov and others"},
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for _, word := range sorted(j.splits[datasets.Train]) {
		list := slices.Clone(j.splits[datasets.Train][word])
		rng.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
		if err := j.e.AddClips(ctx, b, word, list[:min(len(list), wordClips)], skip); err != nil {
			return nil, err
		}
	}
	noise := enroll.Sound{Every: windowShare}
	if err := j.e.AddSounds(ctx, b, &noise, nil, filepath.Join(j.commands, "_background_noise_"), skip); err != nil {
		return nil, err
	}
	speech := enroll.Sound{Every: windowShare}
	if err := j.e.AddSounds(ctx, b, &speech, nil, filepath.Join(j.speech, "train"), skip); err != nil {
		return nil, err
	}
	for i := range b.Classes { // names of files say nothing to others
		if b.Classes[i].Running {
			b.Classes[i].Name = fmt.Sprintf("recording %d", i)
		}
	}
	return b, nil
}

func skip(err error) { log.Print(err) }

func sorted(words map[string][]string) (list []string) {
	for word := range words {
		list = append(list, word)
	}
	slices.Sort(list)
	return list
}

// eachDraw measures what is not yet in the results: each word, by several draws of the clips to enroll it with.
func (j *job) eachDraw(header []string, measure func(word string, enrolled, rest []string) ([]string, error)) error {
	done := map[string]bool{}
	if text, err := os.ReadFile(j.results); err == nil {
		rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
		if err != nil {
			return err
		}
		for _, row := range rows {
			done[strings.Join(row[:2], " ")] = true
		}
	}
	file, err := os.OpenFile(j.results, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	out := csv.NewWriter(file)
	if len(done) == 0 {
		out.Write(header)
	}
	words := strings.Split(j.words, ",")
	if j.words == "" {
		known := func(word string) bool { return slices.Contains(j.m.Labels, word) }
		words = slices.DeleteFunc(sorted(j.splits[datasets.All]), known)
	}
	for _, word := range words {
		for draw := range j.draws {
			if done[fmt.Sprintf("%s %d", word, draw)] {
				continue
			}
			enrolled, rest := drawClips(j.splits[datasets.All][word], j.clips, uint64(draw))
			if len(enrolled) < j.clips || len(rest) < 3 {
				log.Printf("%s has too few speakers", word)
				break
			}
			row, err := measure(word, enrolled, rest)
			if err != nil {
				return err
			}
			out.Write(append([]string{word, fmt.Sprint(draw), fmt.Sprint(j.clips)}, row...))
			out.Flush()
		}
	}
	return out.Error()
}

// drawClips draws one clip each of n speakers, and returns those of all other speakers, too.
func drawClips(paths []string, n int, seed uint64) (drawn, rest []string) {
	rng := rand.New(rand.NewPCG(seed, 7))
	paths = slices.Clone(paths)
	rng.Shuffle(len(paths), func(i, k int) { paths[i], paths[k] = paths[k], paths[i] })
	speakers := map[string]bool{}
	for _, p := range paths {
		who, _ := datasets.Speaker(filepath.ToSlash(p))
		switch {
		case len(drawn) < n && !speakers[who]:
			drawn, speakers[who] = append(drawn, p), true
		case !speakers[who]:
			rest = append(rest, p)
		}
	}
	return drawn, slices.DeleteFunc(rest, func(p string) bool {
		who, _ := datasets.Speaker(filepath.ToSlash(p))
		return speakers[who]
	})
}

// others returns the validation and test clips of all other words.
func (j *job) others(word string) (list []string) {
	for _, split := range []datasets.Split{datasets.Valid, datasets.Test} {
		for _, other := range sorted(j.splits[split]) {
			if other != word {
				list = append(list, j.splits[split][other]...)
			}
		}
	}
	return list
}
