package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/cmd/internal/program"
)

// TestRegions counts the regions of a small ReLU network, of a deeper one and of a polynomial, as text, JSON and CSV.
func TestRegions(t *testing.T) {
	data, folder := pitches(t, 12, "low", "high"), t.TempDir()
	fit := func(name string, flags ...string) string {
		model := filepath.Join(folder, name)
		args := []string{"fit", "--data", data, "--out", model, "--epochs", "1", "--batch", "8", "--augment", "none",
			"--in-context", "0", "--no-calibrate"}
		if status, _, errs := train(t.Context(), append(args, flags...)...); status != program.StatusOK {
			t.Fatal(errs)
		}
		return model
	}
	run := func(model string, more ...string) string {
		args := []string{"regions", "--model", model, "--data", data, "--split", "all", "--lines", "3"}
		status, out, errs := train(t.Context(), append(args, more...)...)
		if status != program.StatusOK {
			t.Fatalf("%s: status %d, %s", model, status, errs)
		}
		return out
	}
	var r struct {
		Kind  string
		Units int
		Row   *struct{ Units, Patterns, Functions int }
		Why   string `json:"row_missing"`
		Lines []struct {
			Between, From, To string
			Pieces            int
			Degrees           []int
		}
	}
	small := fit("small", "--arch", "relu", "--stem", "3:5:2:4", "--stages", "2:1:1:0:1")
	table := filepath.Join(folder, "lines.csv")
	if err := json.Unmarshal([]byte(run(small, "--json", "--csv", table)), &r); err != nil {
		t.Fatal(err)
	}
	if r.Row == nil || r.Row.Units != 7 || r.Row.Patterns < 8 || r.Row.Patterns > 128 ||
		r.Row.Functions > r.Row.Patterns || r.Units != 7*8 || len(r.Lines) != 6 || r.Kind != "not a polynomial: ReLU" {
		t.Errorf("%+v", r)
	}
	for i, l := range r.Lines {
		if want := []string{"random", "clips"}[i/3]; l.Between != want || l.Pieces < 2 || l.Pieces > 1000 ||
			(l.From == "") != (want == "random") || l.From != "" && l.From == l.To {
			t.Errorf("line %d: %+v", i, l)
		}
	}
	file, err := os.Open(table)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if rows, err := csv.NewReader(file).ReadAll(); err != nil || len(rows) != 7 || rows[0][3] != "pieces" {
		t.Errorf("%v, %v", rows, err)
	}
	deep := fit("deep", "--arch", "relu", "--stem", "4:3:1:2", "--stages", "4:1:3:1:2")
	for says, out := range map[string]string{
		"patterns of 7 units, counted exactly":           run(small),
		"not counted: 7 units a row have more than 5":    run(small, "--most", "5"),
		"not counted: a network of another form: stages": run(deep),
	} {
		if !strings.Contains(out, says) || !strings.Contains(out, "linear pieces") {
			t.Errorf("no %q in\n%s", says, out)
		}
	}
	pi := fit("pi", "--arch", "pi", "--stem", "4:3:1:2", "--stages", "4:2:3:1:2")
	out := run(pi)
	if !strings.Contains(out, "polynomial of degree 4") || !strings.Contains(out, "1: it is one polynomial everywhere") ||
		!strings.Contains(out, "degree to 1e-08") {
		t.Errorf("%s", out)
	}
	r.Lines = nil
	if err := json.Unmarshal([]byte(run(pi, "--json")), &r); err != nil {
		t.Fatal(err)
	}
	for _, l := range r.Lines {
		if len(l.Degrees) != 3 || l.Degrees[0] > l.Degrees[2] || l.Degrees[2] > 4 || l.Degrees[2] < 1 || l.Pieces != 1 {
			t.Errorf("%+v", l)
		}
	}
	both := fit("both", "--arch", "pi-relu", "--stem", "4:3:1:2", "--stages", "4:1:3:1:2")
	free := fit("free", "--arch", "relu", "--stem", "3:5:2:4", "--stages", "2:1:1:0:1", "--limit", "0")
	for says, model := range map[string]string{"neither linear regions nor": both, "have no limit": free} {
		status, _, errs := train(t.Context(), "regions", "--model", model, "--data", data)
		if status != program.StatusFailed || !strings.Contains(errs, says) {
			t.Errorf("status %d, %s", status, errs)
		}
	}
	status, _, errs := train(t.Context(), "regions", "--model", small, "--data", data, "--lines", "0")
	if status != program.StatusUsage || !strings.Contains(errs, "--lines must be positive") {
		t.Errorf("--lines 0: status %d, %s", status, errs)
	}
}
