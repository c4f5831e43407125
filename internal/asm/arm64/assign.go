package arm64

import "fmt"

// bitset is a set of registers, by index.
type bitset []uint64

func (s bitset) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }
func (s bitset) put(i int)      { s[i/64] |= 1 << (i % 64) }
func (s bitset) drop(i int)     { s[i/64] &^= 1 << (i % 64) }

// merge adds t and reports whether that changed s.
func (s bitset) merge(t bitset) (changed bool) {
	for i, bits := range t {
		changed = changed || bits&^s[i] != 0
		s[i] |= bits
	}
	return changed
}

// vectorNumbers and generalNumbers are the machine's registers that a Go function without calls may use: not R18, the
// platform's, R27, the assembler's, R28, the goroutine, nor R29 and R30, frame pointer and return address.
var vectorNumbers, generalNumbers = numbers(0, 31), append(numbers(0, 17), numbers(19, 26)...)

func numbers(first, last int) (n []int) {
	for ; first <= last; first++ {
		n = append(n, first)
	}
	return n
}

// assign gives each register a number: in order of their first writing the lowest that none has which holds a value at
// the same time, or that of the register it copies.
func (f *Function) assign(code []instruction) error {
	live := f.liveAfter(code)
	conflicts := make([]bitset, len(f.registers))
	for i := range conflicts {
		conflicts[i] = f.none()
	}
	for at, i := range code {
		for _, w := range i.writes {
			for _, other := range f.registers {
				// A copy and its source hold the same value.
				if other != w && live[at].has(other.index) && !(i.copies && other == i.uses[0]) {
					conflicts[w.index].put(other.index)
					conflicts[other.index].put(w.index)
				}
			}
			for _, other := range i.writes {
				if other != w {
					conflicts[w.index].put(other.index)
				}
			}
		}
	}
	for _, i := range code {
		for _, w := range i.writes {
			if w.number >= 0 {
				continue
			}
			var preferred *Register
			if i.copies {
				preferred = i.uses[0]
			}
			if err := f.choose(w, preferred, conflicts[w.index]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Function) choose(r, preferred *Register, conflicts bitset) error {
	taken := map[int]bool{}
	for _, other := range f.registers {
		if other.number >= 0 && other.vector == r.vector && conflicts.has(other.index) {
			taken[other.number] = true
		}
	}
	free := generalNumbers
	if r.vector {
		free = vectorNumbers
	}
	if preferred != nil && !taken[preferred.number] {
		r.number = preferred.number
		return nil
	}
	for _, n := range free {
		if !taken[n] {
			r.number = n
			return nil
		}
	}
	return fmt.Errorf("%s needs more than %d registers", f.Name, len(free))
}

func (f *Function) none() bitset { return make(bitset, len(f.registers)/64+1) }

// liveAfter returns the registers whose values are used after each instruction.
func (f *Function) liveAfter(code []instruction) []bitset {
	labels := map[string]int{}
	after := make([]bitset, len(code))
	for at, i := range code {
		after[at] = f.none()
		if i.label != "" {
			labels[i.label] = at
		}
	}
	before := make([]bitset, len(code)+1)
	for at := range before {
		before[at] = f.none()
	}
	for changed := true; changed; {
		changed = false
		for at := len(code) - 1; at >= 0; at-- {
			i := code[at]
			if !i.ends {
				after[at].merge(before[at+1])
			}
			if i.target != "" {
				to, known := labels[i.target]
				if !known {
					panic(f.Name + " has no label " + i.target)
				}
				after[at].merge(before[to])
			}
			needed := f.none()
			needed.merge(after[at])
			for _, w := range i.writes {
				needed.drop(w.index)
			}
			for _, u := range i.uses {
				needed.put(u.index)
			}
			changed = before[at].merge(needed) || changed
		}
	}
	return after
}
