// Package polyphon_test holds the rules of the house that no single room can check.
package polyphon_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/polyphon/polyphon"

// allowed says which of the project's own packages each room may import. A room not named here may import
// nothing of the project, so a new room has to state its place.
var allowed = map[string][]string{
	"internal/atomicfile":    {},
	"audio":                  {},
	"audio/audiotest":        {},
	"audio/live":             {"audio"},
	"detect":                 {},
	"internal/isa":           {},
	"features":               {"features/internal/simd", "internal/isa"},
	"features/internal/simd": {"internal/isa"},
	"device":                 {"device/internal/simd", "internal/isa"},
	"device/internal/simd":   {"internal/isa"},
	"device/devicetest":      {"device", "device/internal/simd"},
	"gpu":                    {"device"},
	"polynet":                {"internal/atomicfile", "audio", "detect", "device", "features"},
	"datasets":               {"audio", "features"},
	"models":                 {"polynet"},
	"export/onnx":            {"features", "polynet"},
	"tuning":                 {"internal/atomicfile", "audio", "detect", "polynet"},
	"training":               {"internal/atomicfile", "datasets", "device", "features", "polynet"},
}

// outermost rooms may import anything and are imported by nothing.
var outermost = []string{"cmd/", "bench/"}

func TestImportsPointOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}: {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) < len(allowed) {
		t.Fatalf("go list names %d packages, %d have rules", len(lines), len(allowed))
	}
	for _, line := range lines {
		path, list, _ := strings.Cut(line, ": ")
		room := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		if isOutermost(room) {
			continue
		}
		for _, imported := range strings.Fields(list) {
			other, own := strings.CutPrefix(imported, module+"/")
			if own && !slices.Contains(allowed[room], other) {
				t.Errorf("%s imports %s, which its place in the house does not allow", room, other)
			}
		}
	}
}

func isOutermost(room string) bool {
	return slices.ContainsFunc(outermost, func(prefix string) bool { return strings.HasPrefix(room, prefix) })
}
