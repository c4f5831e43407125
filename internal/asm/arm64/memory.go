package arm64

import "fmt"

// Place is memory: bytes from the address in a register on.
type Place struct {
	Base   *Register
	Offset int
}

// After returns the place so many bytes further on.
func (p Place) After(bytes int) Place { return Place{p.Base, p.Offset + bytes} }

// moves are the instructions that move so many bytes between memory and a vector. What a load leaves of it becomes 0.
var moves = map[int]string{4: "FMOVS", 8: "FMOVD", 16: "FMOVQ"}

// Load loads vectors of so many bytes, 4, 8 or 16, that follow each other, two at a time where they are whole.
func (f *Function) Load(from Place, bytes int, to ...*Register) { f.each(from, bytes, to, true, false) }

// LoadNext loads them from the address that a register holds, to which it adds their length.
func (f *Function) LoadNext(from *Register, bytes int, to ...*Register) {
	f.each(Place{Base: from}, bytes, to, true, true)
}

// Store and StoreNext are the opposite of Load and LoadNext.
func (f *Function) Store(to Place, bytes int, from ...*Register) {
	f.each(to, bytes, from, false, false)
}
func (f *Function) StoreNext(to *Register, bytes int, from ...*Register) {
	f.each(Place{Base: to}, bytes, from, false, true)
}

func (f *Function) each(at Place, bytes int, v []*Register, load, next bool) {
	for len(v) > 0 {
		n := 1
		if bytes == 16 && len(v) >= 2 && at.Offset%16 == 0 && -1024 <= at.Offset && at.Offset < 1024 {
			n = 2
		}
		f.move(at, bytes, v[:n], load, next)
		v = v[n:]
		if !next {
			at = at.After(n * bytes)
		}
	}
}

// move appends one instruction, of a vector or two.
func (f *Function) move(at Place, bytes int, v []*Register, load, next bool) {
	i := instruction{uses: list(at.Base)}
	if load {
		i.writes = append(i.writes, v...)
	} else {
		i.uses = append(i.uses, v...)
	}
	suffix, offset := "", at.Offset
	if next {
		i.writes = append(i.writes, at.Base)
		suffix, offset = ".P", len(v)*bytes
	}
	i.text = func() string {
		instruct, operand := moves[bytes], v[0].String()
		if len(v) == 2 {
			instruct, operand = map[bool]string{true: "FLDPQ", false: "FSTPQ"}[load], fmt.Sprintf("(%v, %v)", v[0], v[1])
		}
		place := fmt.Sprintf("(%v)", at.Base)
		if offset != 0 {
			place = fmt.Sprintf("%d%s", offset, place)
		}
		if load {
			return fmt.Sprintf("%s%s\t%s, %s", instruct, suffix, place, operand)
		}
		return fmt.Sprintf("%s%s\t%s, %s", instruct, suffix, operand, place)
	}
	f.add(i)
}

// LoadInt loads a number of 2 bytes without sign, 4 with sign or 8 from memory.
func (f *Function) LoadInt(at Place, bytes int) *Register {
	r := f.General()
	instruct := map[int]string{2: "MOVHU", 4: "MOVW", 8: "MOVD"}[bytes]
	f.add(instruction{
		text:   func() string { return fmt.Sprintf("%s\t%d(%v), %v", instruct, at.Offset, at.Base, r) },
		writes: list(r), uses: list(at.Base),
	})
	return r
}
