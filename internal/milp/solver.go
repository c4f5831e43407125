package milp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Programs are the solvers that can be used, the best first.
var Programs = []string{"cbc", "glpsol"}

// Solver is an installed program.
type Solver struct{ name, path string }

// Find returns the first of Programs that is installed, or nil.
func Find() *Solver {
	for _, name := range Programs {
		if path, err := exec.LookPath(name); err == nil {
			return &Solver{name, path}
		}
	}
	return nil
}

// Named returns the solver of one of Programs at a path.
func Named(name, path string) *Solver { return &Solver{name, path} }

// Name returns the program's name.
func (s *Solver) Name() string { return s.name }

// Answer is what a solver says of a problem.
type Answer int

// The answers. A solver works with floating-point numbers: an infeasible problem may have a point that misses a row by
// less than Tolerance, or a binary variable by less.
const (
	Unknown    Answer = iota // the time was up
	Infeasible               // there is no point
	Feasible                 // there is one
)

// Tolerance is by how much rows and binary variables of a Feasible point are missed at most, relative to 1. Solvers
// allow 1e-6 or less.
const Tolerance = 1e-5

// grace is how long a solver may go on beyond its limit before it is killed.
const grace = 5 * time.Second

// Solve looks for a point of the problem for about so long. A program that cannot be run, or says something else than
// expected, gives an error, and so does ctx's end, which kills it.
func (s *Solver) Solve(ctx context.Context, p *Problem, limit time.Duration) (Answer, []float64, error) {
	if _, binaries := p.Size(); binaries == 0 {
		p.Binary() // which nothing depends on: glpsol writes other files of linear programs
	}
	dir, err := os.MkdirTemp("", "polyphon-milp-")
	if err != nil {
		return Unknown, nil, err
	}
	defer os.RemoveAll(dir)
	problem, solution := filepath.Join(dir, "problem.lp"), filepath.Join(dir, "solution")
	f, err := os.Create(problem)
	if err != nil {
		return Unknown, nil, err
	}
	if err := errors.Join(p.WriteLP(f), f.Close()); err != nil {
		return Unknown, nil, err
	}
	seconds := max(1, int(limit.Seconds()+0.5))
	timed, stop := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+grace)
	defer stop()
	args := []string{"--lp", problem, "--tmlim", strconv.Itoa(seconds), "--mipgap", "1e6", "-w", solution}
	if s.name == "cbc" {
		args = []string{problem, "-sec", strconv.Itoa(seconds), "-timeMode", "elapsed", "-maxSolutions", "1", "-solve",
			"-solution", solution}
	}
	cmd := exec.CommandContext(timed, s.path, args...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	output, failed := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return Unknown, nil, ctx.Err()
	}
	if timed.Err() != nil {
		return Unknown, nil, nil
	}
	text, err := os.ReadFile(solution)
	if failed != nil || err != nil {
		return Unknown, nil, fmt.Errorf("%s: %w: %s", s.name, errors.Join(failed, err), lastLine(output))
	}
	answer, point, err := s.read(text, len(p.variables))
	if err != nil {
		return Unknown, nil, fmt.Errorf("%s: %w", s.name, err)
	}
	if answer == Feasible && !(p.Violation(point) <= Tolerance) {
		return Unknown, nil, nil // of a search that was stopped, the point of a relaxation
	}
	return answer, point, nil
}

func lastLine(output []byte) string {
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return lines[len(lines)-1]
}

// read reads a solution file.
func (s *Solver) read(text []byte, variables int) (answer Answer, point []float64, err error) {
	point = make([]float64, variables)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() && err == nil {
		line := lines.Text()
		fields := strings.Fields(line)
		switch {
		case s.name == "cbc" && answer == Unknown:
			answer = Feasible
			if strings.HasPrefix(line, "Infeasible") || strings.HasPrefix(line, "Integer infeasible") {
				return Infeasible, nil, nil
			}
			if !strings.HasPrefix(line, "Optimal") && !strings.HasPrefix(line, "Stopped") {
				return Unknown, nil, fmt.Errorf("its solution begins with %q", line)
			}
		case s.name == "cbc":
			err = set(point, fields, strings.TrimPrefix(field(fields, 1), "x"), field(fields, 2), 0)
		case field(fields, 0) == "s":
			switch field(fields, 4) {
			case "n":
				return Infeasible, nil, nil
			case "o", "f":
				answer = Feasible
			case "u":
				return Unknown, nil, nil
			default:
				return Unknown, nil, fmt.Errorf("its solution has the line %q", line)
			}
		case field(fields, 0) == "j":
			err = set(point, fields, field(fields, 1), field(fields, 2), 1)
		}
	}
	if err == nil && answer == Unknown {
		err = fmt.Errorf("its solution of %d bytes has no status", len(text))
	}
	return answer, point, err
}

func field(fields []string, i int) string {
	if i >= len(fields) {
		return ""
	}
	return fields[i]
}

// set sets the variable of a number that counts from first.
func set(point []float64, fields []string, number, value string, first int) error {
	i, bad := strconv.Atoi(number)
	v, worse := strconv.ParseFloat(value, 64)
	if i -= first; bad != nil || worse != nil || i < 0 || i >= len(point) {
		return fmt.Errorf("its solution has the line %q", strings.Join(fields, " "))
	}
	point[i] = v
	return nil
}
