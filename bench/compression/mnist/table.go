package main

import (
	"fmt"
	"slices"
	"strings"
)

// published are rows of the papers for 100 units in each of two hidden layers: accuracy, removed and stable units in
// percent. The first three are means of 5 seeds of the logs of the code of 2021, the others of 31 networks of 2020.
var published = []struct {
	what, l1, accuracy, removed, stable string
}{
	{"logs of 2021", "0", "97.92", "0", "0"},
	{"logs of 2021", "2e-4", "97.91", "17.9", "43.6"},
	{"logs of 2021", "4e-4", "97.28", "22.6", "67.0"},
	{"LEO, 2020", "0", "98.00", "0", ""},
	{"LEO, 2020", "1e-4", "98.14", "14.9", ""},
	{"LEO, 2020", "5e-4", "97.14", "30.8", ""},
}

// table returns the results beside the published ones, in Markdown: means of the seeds, with the least and the most.
func (x *experiment) table(all []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %d-%d-%d-%d | l1 | test accuracy, %% | after | removed, %% | stable, %% | combinations | seeds |\n",
		x.widths[0], x.widths[1], x.widths[2], x.widths[3])
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	type key struct{ l1, milp float64 }
	var keys []key
	groups := map[key][]result{}
	for _, r := range all {
		k := key{r.L1, r.MILP}
		if groups[k] == nil {
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], r)
	}
	for _, k := range keys {
		list, how := groups[k], "bounds alone"
		if k.milp > 0 {
			how = "bounds, then programs"
		}
		column := func(f func(r result) float64) string { return spread(list, f) }
		hidden := float64(x.widths[1] + x.widths[2])
		dependent := 0
		for _, r := range list {
			dependent += r.Units.Dependent
		}
		fmt.Fprintf(&b, "| %s | %g | %s | %s | %s | %s | %d | %d |\n", how, k.l1,
			column(func(r result) float64 { return r.Accuracy }), column(func(r result) float64 { return r.After }),
			column(func(r result) float64 { return 100 * (1 - float64(r.Kept[0]+r.Kept[1])/hidden) }),
			// The ReLU after the logits always passes them.
			column(func(r result) float64 { return 100 * float64(r.Units.Zero+r.Units.Active-classes) / hidden }),
			dependent, len(list))
	}
	for _, p := range published {
		fmt.Fprintf(&b, "| %s | %s | %s | | %s | %s | 0 | |\n", p.what, p.l1, p.accuracy, p.removed, p.stable)
	}
	return b.String()
}

func spread(list []result, f func(r result) float64) string {
	var values []float64
	sum := 0.0
	for _, r := range list {
		values = append(values, f(r))
		sum += f(r)
	}
	if slices.Min(values) == slices.Max(values) {
		return fmt.Sprintf("%.2f", values[0])
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", sum/float64(len(values)), slices.Min(values), slices.Max(values))
}
