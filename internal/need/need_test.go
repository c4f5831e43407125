package need

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// recorder is a test whose outcome is kept.
type recorder struct {
	testing.TB
	outcome string
}

func (r *recorder) Helper()      {}
func (r *recorder) Name() string { return "TestX" }
func (r *recorder) Skip(args ...any) {
	r.outcome = "skipped: " + args[0].(string)
	runtime.Goexit()
}
func (r *recorder) Fatalf(string, ...any) {
	r.outcome = "failed"
	runtime.Goexit()
}

// outcome returns how a test ends that calls f.
func outcome(f func(t testing.TB)) string {
	r := &recorder{outcome: "passed"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return r.outcome
}

func TestWhatIsMissingFailsInCI(t *testing.T) {
	notes := filepath.Join(t.TempDir(), "notes")
	t.Setenv(Skipped, notes)
	for name, c := range map[string]struct {
		run        func(t testing.TB)
		want, inCI string
	}{
		"a tool":         {func(t testing.TB) { Tool(t, "no-tool") }, "skipped: no-tool is not installed", "failed"},
		"Go":             {func(t testing.TB) { Tool(t, "go") }, "passed", "passed"},
		"links":          {func(t testing.TB) { Host(t, "links", errors.New("none")) }, "skipped: links: none", "failed"},
		"no error":       {func(t testing.TB) { Host(t, "links", nil) }, "passed", "passed"},
		"recordings":     {func(t testing.TB) { Data(t) }, "skipped: POLYPHON_DATA names no folder of recordings", "failed"},
		"another system": {func(t testing.TB) { Platform(t, "no GPU") }, "skipped: no GPU", "skipped: no GPU"},
	} {
		t.Setenv(Folder, "")
		t.Setenv(CI, "")
		if got := outcome(c.run); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		t.Setenv(CI, "1")
		if got := outcome(c.run); got != c.inCI {
			t.Errorf("%s in CI: %s, want %s", name, got, c.inCI)
		}
	}
	want := strings.Repeat("DID NOT RUN: github.com/polyphon/polyphon/internal/need TestX: no GPU\n", 2)
	if got, err := os.ReadFile(notes); err != nil || string(got) != want {
		t.Errorf("%v, %q, want %q", err, got, want)
	}
}

// TestNothingElseSkips looks for skips that do not go through this package.
func TestNothingElseSkips(t *testing.T) {
	files := 0
	err := filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") && !strings.Contains(path, "test/") ||
			!strings.HasSuffix(path, ".go") || strings.Contains(path, "internal/need/") {
			return err
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, _ := n.(*ast.CallExpr)
			if call == nil {
				return true
			}
			if s, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, s.Sel.Name) {
				t.Errorf("%s: a skip that is not one of package need's", set.Position(s.Pos()))
			}
			return true
		})
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("%d files, %v", files, err)
	}
}
