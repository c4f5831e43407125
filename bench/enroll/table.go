package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// table prints the results by word, and their means, in Markdown.
func table(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 2 {
		return fmt.Errorf("%s: %d rows, %v", path, len(rows), err)
	}
	type sums struct{ draws, tested, found, taken, events, hours float64 }
	words := map[string]*sums{}
	var names []string
	for _, row := range rows[1:] {
		value := func(column string) float64 {
			i := slices.Index(rows[0], column)
			if i < 0 {
				return 0
			}
			v, _ := strconv.ParseFloat(row[i], 64)
			return v
		}
		w := words[row[0]]
		if w == nil {
			w = &sums{}
			words[row[0]], names = w, append(names, row[0])
		}
		w.draws++
		w.tested += value("tested")
		w.found += 100 * value("found") / value("tested")
		w.taken += 100 * value("taken") / value("others")
		w.events += value("test events")
		w.hours += value("test hours")
	}
	fmt.Println("| word | draws | clips tested | found, % | other words taken for it, % | events in test speech |")
	fmt.Println("| --- | --- | --- | --- | --- | --- |")
	var found, taken, events, hours float64
	low, high := 100.0, 0.0
	for _, name := range names {
		w := words[name]
		f, o := w.found/w.draws, w.taken/w.draws
		fmt.Printf("| %s | %.0f | %.0f | %.1f | %.2f | %.0f |\n", name, w.draws, w.tested, f, o, w.events)
		found, taken, events, hours = found+f, taken+o, events+w.events, hours+w.hours
		low, high = min(low, f), max(high, f)
	}
	n := float64(len(names))
	fmt.Printf("\nMean of %d words: %.1f %% found (%.0f to %.0f), %.2f %% of other words taken", len(names), found/n, low,
		high, taken/n)
	if hours > 0 {
		fmt.Printf(", %.0f events in %.2f hours", events, hours)
	}
	fmt.Println(".")
	return nil
}
