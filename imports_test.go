package polyphon_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/polyphon/polyphon"

// allowed says which of the project's own packages each package may import: those below it in the layers of
// CONTRIBUTING.md. A package that is not named may import nothing of the project, so a new one has to state its place.
var allowed = map[string][]string{
	"internal/atomicfile": {},
	"internal/foreign":    {},
	"internal/isa":        {},
	"internal/memtest":    {}, // test support
	"internal/milp":       {},
	"internal/need":       {"internal/race"},       // test support
	"internal/nettest":    {"features", "polynet"}, // test support
	"internal/pulsetest":  {"internal/need"},       // test support
	"internal/race":       {},
	"internal/records":    {"", "audio", "internal/safe"},
	"internal/safe":       {},
	"audio":               {"audio/internal/simd"},
	"audio/internal/simd": {"internal/isa"},
	"audio/audiotest":     {"audio"}, // test support
	"audio/ffmpeg":        {"audio"},
	"audio/live":          {"audio"},
	"audio/microphone":    {"audio"},
	"detect":              {},
	"confidence":          {"detect"},

	"features":               {"features/internal/simd", "internal/isa"},
	"features/internal/simd": {"internal/isa"},
	"device":                 {"device/internal/simd", "internal/isa"},
	"device/internal/simd":   {"internal/isa"},
	"device/devicetest":      {"device", "device/internal/simd"},
	"gpu":                    {"device"},

	"polynet":   {"confidence", "detect", "features", "internal/atomicfile", "internal/foreign"}, // never audio
	"bounds":    {"device", "features", "internal/milp", "polynet"},
	"regions":   {"polynet"},
	"inference": {"device", "features", "polynet"},                // never training
	"datasets":  {"audio", "detect", "features", "internal/safe"}, // never polynet
	"enroll": {
		"audio", "calibrate", "datasets", "detect", "device", "features", "inference", "polynet", "tuning",
	},
	"training": { // never inference
		"datasets", "detect", "device", "features", "internal/atomicfile", "internal/foreign", "polynet",
	},

	"":          {"audio", "confidence", "detect", "device", "inference", "polynet"}, // the front door
	"models":    {"polynet"},
	"calibrate": {"confidence", "detect", "polynet"},
	"compress": {
		"bounds", "device", "features", "inference", "internal/milp", "polynet", "regions", "training",
	},
	"report":        {"audio", "calibrate", "detect", "features", "polynet", "training"},
	"export/onnx":   {"confidence", "detect", "features", "internal/foreign", "polynet"},
	"serve/mqtt":    {},
	"serve/wyoming": {"audio"},
	"serve/web":     {},
	"serve": {
		"", "audio", "audio/live", "confidence", "detect", "device", "features", "internal/atomicfile", "internal/records",
		"internal/safe", "models", "polynet",
	},
	"tuning": {"", "audio", "datasets", "detect", "internal/atomicfile", "polynet"},
}

// outermost packages may import anything and are imported by nothing.
var outermost = []string{"cmd/", "bench/", "examples/"}

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
		name := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		if isOutermost(name) {
			continue
		}
		for _, imported := range strings.Fields(list) {
			other, own := strings.CutPrefix(imported, module)
			if own && !slices.Contains(allowed[name], strings.TrimPrefix(other, "/")) {
				t.Errorf("package %q imports %s, which its layer does not allow", name, imported)
			}
		}
	}
}

func isOutermost(name string) bool {
	return slices.ContainsFunc(outermost, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
