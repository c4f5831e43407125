package isa

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestTheEnvironmentSelectsASet(t *testing.T) {
	sets := Sets()
	slower := func(a, b Set) int { return slices.Index(order, a) - slices.Index(order, b) }
	if sets[0] != Generic || !slices.IsSortedFunc(sets, slower) {
		t.Errorf("sets are %v", sets)
	}
	for _, s := range sets {
		t.Setenv(Variable, string(s))
		if got, err := Chosen(); got != s || err != nil {
			t.Errorf("%s=%s gives %q, error %v", Variable, s, got, err)
		}
	}
	t.Setenv(Variable, "")
	if got, err := Chosen(); got != sets[len(sets)-1] || err != nil {
		t.Errorf("unforced: %q, error %v, want the last of %v", got, err, sets)
	}
	for _, name := range []string{"abacus", "AVX2", " generic"} {
		t.Setenv(Variable, name)
		_, err := Chosen()
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "generic") {
			t.Errorf("%s=%s gives the error %v", Variable, name, err)
		}
	}
}

// TestSetsOfThisMachine prints what .ci/kernels reads. A set that the machine lacks is an error, not a slower one.
func TestSetsOfThisMachine(t *testing.T) {
	sets := Sets()
	t.Logf("sets: %s", strings.Trim(fmt.Sprint(sets), "[]"))
	for _, s := range order {
		t.Setenv(Variable, string(s))
		got, err := Chosen()
		if slices.Contains(sets, s) {
			if got != s || err != nil {
				t.Errorf("%s: %q, %v", s, got, err)
			}
		} else if err == nil || got != "" {
			t.Errorf("%s, which the machine lacks: %q, %v", s, got, err)
		}
	}
}

var order = []Set{Generic, AVX2, AVX512, NEON}
