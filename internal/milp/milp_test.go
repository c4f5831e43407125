package milp

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/internal/need"
)

// knapsack asks for some of the sizes that sum up to a capacity within half a unit.
func knapsack(sizes []float64, capacity float64) *Problem {
	p := new(Problem)
	var terms []Term
	for _, s := range sizes {
		terms = append(terms, Term{s, p.Binary()})
	}
	slack := p.Variable(-0.25, 0.25)
	p.Equal(capacity, append(terms, Term{1, slack})...)
	p.Prefer(Term{1, slack})
	return p
}

// TestSolversAgreeWithEnumeration compares answers with those of trying all choices.
func TestSolversAgreeWithEnumeration(t *testing.T) {
	for _, name := range Programs {
		s := Named(name, need.Tool(t, name))
		rng := rand.New(rand.NewPCG(1, 2))
		answers := map[Answer]int{}
		for range 12 {
			var sizes []float64
			for range 6 {
				sizes = append(sizes, float64(3*rng.IntN(9)+1))
			}
			capacity := float64(rng.IntN(50))
			want := Infeasible
			for choice := range 1 << len(sizes) {
				sum := 0.0
				for i, size := range sizes {
					sum += size * float64(choice>>i&1)
				}
				if math.Abs(sum-capacity) <= 0.25 {
					want = Feasible
				}
			}
			p := knapsack(sizes, capacity)
			got, point, err := s.Solve(t.Context(), p, 10*time.Second)
			if err != nil || got != want {
				t.Errorf("%s: %v of %v: answer %d, want %d, %v", name, capacity, sizes, got, want, err)
			}
			if got == Feasible && p.Violation(point) > Tolerance {
				t.Errorf("%s: the point %v misses a row by %g", name, point, p.Violation(point))
			}
			answers[got]++
		}
		if answers[Feasible] < 2 || answers[Infeasible] < 2 {
			t.Errorf("%s: answers %v", name, answers)
		}
	}
}

// TestManyTerms writes rows of more terms than a line has, with numbers of all sizes.
func TestManyTerms(t *testing.T) {
	for _, name := range Programs {
		s := Named(name, need.Tool(t, name))
		p := new(Problem)
		var terms []Term
		for i := range 300 {
			terms = append(terms, Term{math.Pow(10, float64(i%9-6)), p.Variable(-1, 2)})
		}
		p.AtLeast(2*222*34, terms...) // the sum of all factors is 33.33 times 111.1111
		if got, point, err := s.Solve(t.Context(), p, 10*time.Second); got != Infeasible || err != nil {
			t.Errorf("%s: answer %d, %v, %v", name, got, point, err)
		}
		p = new(Problem)
		p.AtLeast(1.75, Term{1, p.Variable(-1, 2)}, Term{-1e-9, p.Variable(0, 1)})
		got, point, err := s.Solve(t.Context(), p, 10*time.Second)
		if got != Feasible || err != nil || point[0] < 1.7499 {
			t.Errorf("%s: answer %d, %v, %v", name, got, point, err)
		}
	}
}

// TestBrokenSolvers runs programs that do not behave as solvers.
func TestBrokenSolvers(t *testing.T) {
	if runtime.GOOS == "windows" {
		need.Platform(t, "the programs are shell scripts")
	}
	p := knapsack([]float64{1, 2}, 3)
	write := `for last; do :; done; printf '%b' "$TEXT" > "$last"`
	for name, c := range map[string]struct{ solver, script, text, want string }{
		"it fails":          {"cbc", "echo out of memory; exit 3", "", "cbc: exit status 3"},
		"no file":           {"glpsol", "exit 0", "", "no such file"},
		"an empty file":     {"cbc", write, "", "has no status"},
		"another status":    {"cbc", write, "Unbounded - objective value 0\\n", `begins with "Unbounded`},
		"a strange name":    {"cbc", write, "Optimal - objective value 0\\n 0 y 1 0\\n", `the line "0 y 1 0"`},
		"a strange number":  {"cbc", write, "Optimal - objective value 0\\n 0 x0 one 0\\n", `the line "0 x0 one 0"`},
		"too many columns":  {"glpsol", write, "s mip 1 9 o 0\\nj 9 1\\n", `the line "j 9 1"`},
		"a strange status":  {"glpsol", write, "s mip 1 3 x 0\\n", `the line "s mip 1 3 x 0"`},
		"only comments":     {"glpsol", write, "c nothing\\n", "has no status"},
		"time is up":        {"glpsol", write, "s mip 1 3 u 0\\n", ""},
		"not a point":       {"glpsol", write, "s mip 1 3 o 0\\nj 1 1\\n", ""},
		"a fraction":        {"cbc", write, "Stopped on time - objective value 0\\n 0 x0 0.5 0\\n 1 x1 1.25 0\\n", ""},
		"nothing but zeros": {"cbc", write, "Stopped on time - objective value 0\\n", ""},
	} {
		path := filepath.Join(t.TempDir(), "solver")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("TEXT", c.text)
		got, _, err := Named(c.solver, path).Solve(t.Context(), p, time.Second)
		if got != Unknown || (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: answer %d, %v, want %q", name, got, err, c.want)
		}
	}
}

// TestCancel ends a solver that goes on for ever.
func TestCancel(t *testing.T) {
	if runtime.GOOS == "windows" {
		need.Platform(t, "the program is a shell script")
	}
	path := filepath.Join(t.TempDir(), "solver")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec sleep 600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, _, err := Named("cbc", path).Solve(ctx, knapsack([]float64{1}, 1), time.Hour)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Minute {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

func TestFind(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if s := Find(); s != nil {
		t.Errorf("found %s in an empty folder", s.Name())
	}
}
