package arm64

import (
	"fmt"
	"strings"
	"testing"
)

// sum returns a function that adds up so many vectors, all of them loaded first.
func sum(vectors int) *Function {
	f := New("sum", "func(x []float32)")
	x := f.Base("x")
	var v []*Register
	for i := range vectors {
		v = append(v, f.Vector())
		f.Load(Place{x, 16 * i}, 16, v[i])
	}
	for _, next := range v[1:] {
		f.Op("fadd", v[0], v[0], next, 0)
	}
	f.Store(Place{Base: x}, 16, v[0])
	f.Return()
	return f
}

func TestRegistersAreThoseOfTheMachine(t *testing.T) {
	for vectors := 1; vectors <= 32; vectors++ {
		text, err := sum(vectors).Assembly()
		if err != nil {
			t.Fatal(err)
		}
		for i := range vectors {
			if !strings.Contains(text, fmt.Sprintf(", F%d\n", i)) {
				t.Errorf("%d vectors do not use F%d:\n%s", vectors, i, text)
			}
		}
	}
	if _, err := sum(33).Assembly(); err == nil || !strings.Contains(err.Error(), "32 registers") {
		t.Errorf("33 vectors at the same time give the error %v", err)
	}
}

// A register is free again after the last use of its value, also where that is before it in a loop.
func TestValuesLiveThroughLoops(t *testing.T) {
	f := New("loop", "func(n int)")
	left, kept, other := f.Int("n"), f.General(), f.General()
	f.SetInt(kept, 7)
	f.Label("again")
	f.Add(left, kept, 0)
	f.SetInt(other, 1) // kept is used by the next turn
	f.Subtract(left, other, 1)
	f.Count(left, 1)
	f.Jump("BNE", "again")
	after := f.General()
	f.SetInt(after, 2)
	f.Add(after, left, 0)
	f.Return()
	if _, err := f.Assembly(); err != nil {
		t.Fatal(err)
	}
	if kept.number == other.number || kept.number == left.number || other.number == left.number {
		t.Errorf("one register for two values: %v %v %v", left, kept, other)
	}
	if after.number != kept.number {
		t.Errorf("%v is not used again after the loop, but %v", kept, after)
	}
}

// A copy of a value that is not used again needs no register and no instruction.
func TestCopiesOfLastUses(t *testing.T) {
	for _, again := range []bool{false, true} {
		f := New("copy", "func(x []float32)")
		x, v := f.Base("x"), f.Vector()
		f.Load(Place{Base: x}, 16, v)
		c := f.Copy(v)
		f.Op("fadd", c, c, c, 0)
		f.Store(Place{Base: x}, 16, c)
		if again {
			f.Store(Place{x, 16}, 16, v)
		}
		f.Return()
		text, err := f.Assembly()
		if err != nil || strings.Contains(text, "VMOV") != again || (c.number == v.number) == again {
			t.Errorf("used again: %v, error %v:\n%s", again, err, text)
		}
	}
}
