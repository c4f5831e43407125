// Package arm64 writes Go assembly for arm64: functions of instructions on virtual registers, to which it assigns the
// machine's. Instructions of Advanced SIMD that Go's assembler lacks become words.
package arm64

import (
	"fmt"
	"math"
	"strings"

	"github.com/mmcloughlin/avo/gotypes"
)

// Function is a Go function of assembly. Its methods append instructions.
type Function struct {
	Name      string
	signature *gotypes.Signature
	prologue  []instruction // before the body: constants
	body      []instruction
	registers []*Register
	table     *Register // the address of the constants, in the prologue
	constants []uint32
	quads     []*Register // of four constants each
}

// New returns the function of that name. The signature is a type: func(x []float32, n int).
func New(name, signature string) *Function {
	s, err := gotypes.ParseSignature(signature)
	if err != nil {
		panic(err)
	}
	return &Function{Name: name, signature: s}
}

// Register is a virtual register: general, or a vector of 128 bits.
type Register struct {
	vector bool
	index  int // in the function's registers
	number int // of the machine's
}

func (r *Register) String() string {
	if r.vector {
		return fmt.Sprintf("F%d", r.number)
	}
	return fmt.Sprintf("R%d", r.number)
}

// instruction is an instruction or a label.
type instruction struct {
	text         func() string // once registers are assigned
	writes, uses []*Register
	copies       bool   // uses[0] to writes[0], for nothing where they are one register
	label        string // that it is
	target       string // of a jump
	ends         bool   // nothing is executed after it but at a label
}

func (f *Function) register(vector bool) *Register {
	r := &Register{vector: vector, index: len(f.registers), number: -1}
	f.registers = append(f.registers, r)
	return r
}

// General returns a new general register, Vector a new vector.
func (f *Function) General() *Register { return f.register(false) }
func (f *Function) Vector() *Register  { return f.register(true) }

func (f *Function) add(i instruction) { f.body = append(f.body, i) }

// list is a short name for the registers of an instruction.
func list(r ...*Register) []*Register { return r }

// Param returns a parameter; see gotypes.
func (f *Function) Param(name string) gotypes.Component { return f.signature.Params().Lookup(name) }

func address(c gotypes.Component) string {
	basic, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%s+%d(FP)", basic.Addr.Symbol, basic.Addr.Disp)
}

func (f *Function) load(c gotypes.Component, instruct string, to *Register) *Register {
	from := address(c)
	f.add(instruction{text: func() string { return fmt.Sprintf("%s\t%s, %v", instruct, from, to) }, writes: list(to)})
	return to
}

// Base returns the address of a slice, Len its length, and Int the value of an int or pointer, as parameters.
func (f *Function) Base(name string) *Register {
	return f.load(f.Param(name).Base(), "MOVD", f.General())
}
func (f *Function) Len(name string) *Register {
	return f.load(f.Param(name).Len(), "MOVD", f.General())
}
func (f *Function) Int(name string) *Register { return f.load(f.Param(name), "MOVD", f.General()) }

// Bytes returns the value of an int parameter, a number of floats, in bytes.
func (f *Function) Bytes(name string) *Register {
	r := f.Int(name)
	f.Shift("LSL", r, 2)
	return r
}

// Float returns a vector of a float32 parameter, Double one of a float64.
func (f *Function) Float(name string) *Register {
	return f.Broadcast(f.load(f.Param(name), "FMOVS", f.Vector()), 0)
}
func (f *Function) Double(name string) *Register {
	return f.duplicate(f.load(f.Param(name), "FMOVD", f.Vector()), "D[0]", "D2")
}

// Broadcast returns a vector of an element of another one.
func (f *Function) Broadcast(v *Register, index int) *Register {
	return f.duplicate(v, fmt.Sprintf("S[%d]", index), "S4")
}

func (f *Function) duplicate(r *Register, element, arrangement string) *Register {
	v := f.Vector()
	f.add(instruction{
		text: func() string {
			return fmt.Sprintf("VDUP\tV%d.%s, V%d.%s", r.number, element, v.number, arrangement)
		}, writes: list(v), uses: list(r),
	})
	return v
}

// Set sets a general register to another, or copies a vector.
func (f *Function) Set(to, from *Register) {
	f.add(instruction{
		text: func() string {
			if to.vector {
				return fmt.Sprintf("VMOV\tV%d.B16, V%d.B16", from.number, to.number)
			}
			return fmt.Sprintf("MOVD\t%v, %v", from, to)
		}, writes: list(to), uses: list(from), copies: true,
	})
}

// Copy returns a copy of a register.
func (f *Function) Copy(from *Register) *Register {
	to := f.register(from.vector)
	f.Set(to, from)
	return to
}

// SetInt sets a general register to a number.
func (f *Function) SetInt(to *Register, value int) {
	f.add(instruction{text: func() string { return fmt.Sprintf("MOVD\t$%d, %v", value, to) }, writes: list(to)})
}

// Zero returns a vector of zeros.
func (f *Function) Zero() *Register {
	v := f.Vector()
	f.add(instruction{
		text: func() string { return fmt.Sprintf("VMOVI\t$0, V%d.B16", v.number) }, writes: list(v),
	})
	return v
}

// Add adds b·2^shift to a. AddInt adds a number.
func (f *Function) Add(a, b *Register, shift int) { f.addShifted("ADD", a, a, b, shift) }

// Subtract subtracts b·2^shift from a.
func (f *Function) Subtract(a, b *Register, shift int) { f.addShifted("SUB", a, a, b, shift) }

// Sum returns a + b·2^shift.
func (f *Function) Sum(a, b *Register, shift int) *Register {
	r := f.General()
	f.addShifted("ADD", r, a, b, shift)
	return r
}

func (f *Function) addShifted(instruct string, to, a, b *Register, shift int) {
	f.add(instruction{
		text: func() string {
			if shift == 0 {
				return fmt.Sprintf("%s\t%v, %v, %v", instruct, b, a, to)
			}
			return fmt.Sprintf("%s\t%v<<%d, %v, %v", instruct, b, shift, a, to)
		}, writes: list(to), uses: list(a, b),
	})
}

func (f *Function) AddInt(a *Register, value int) {
	f.add(instruction{
		text: func() string { return fmt.Sprintf("ADD\t$%d, %v", value, a) }, writes: list(a), uses: list(a),
	})
}

// Shift shifts a general register by LSL or LSR.
func (f *Function) Shift(instruct string, a *Register, bits int) {
	f.add(instruction{
		text:   func() string { return fmt.Sprintf("%s\t$%d, %v, %v", instruct, bits, a, a) },
		writes: list(a), uses: list(a),
	})
}

// And clears all but the given bits of a general register.
func (f *Function) And(a *Register, bits int) {
	f.add(instruction{
		text: func() string { return fmt.Sprintf("AND\t$%d, %v, %v", bits, a, a) }, writes: list(a), uses: list(a),
	})
}

// Count subtracts a number and sets the flags that Jump reads.
func (f *Function) Count(a *Register, value int) {
	f.add(instruction{
		text:   func() string { return fmt.Sprintf("SUBS\t$%d, %v, %v", value, a, a) },
		writes: list(a), uses: list(a),
	})
}

// Compare compares a with a number, for Jump. CompareWith compares it with another register.
func (f *Function) Compare(a *Register, value int) {
	f.add(instruction{text: func() string { return fmt.Sprintf("CMP\t$%d, %v", value, a) }, uses: list(a)})
}
func (f *Function) CompareWith(a, b *Register) {
	f.add(instruction{text: func() string { return fmt.Sprintf("CMP\t%v, %v", b, a) }, uses: list(a, b)})
}

// Label marks a place, to which Jump jumps: B always, BEQ, BNE, BLT and so on by the flags.
func (f *Function) Label(name string) { f.add(instruction{label: name}) }
func (f *Function) Jump(instruct, label string) {
	f.add(instruction{
		text: func() string { return instruct + "\t" + label }, target: label, ends: instruct == "B",
	})
}

// JumpIfZero jumps where a is 0.
func (f *Function) JumpIfZero(a *Register, label string) {
	f.add(instruction{text: func() string { return fmt.Sprintf("CBZ\t%v, %s", a, label) }, uses: list(a), target: label})
}

// Result sets the function's result to a vector's first float.
func (f *Function) Result(v *Register) {
	to := address(f.signature.Results().At(0))
	f.add(instruction{text: func() string { return fmt.Sprintf("FMOVS\t%v, %s", v, to) }, uses: list(v)})
}

// Return ends the function.
func (f *Function) Return() { f.add(instruction{text: func() string { return "RET" }, ends: true}) }

// Op appends an instruction of encodings on vectors: n and, where it has them, m and an element's index or the bits of
// a shift. Where the destination is an operand, as in fmla, d has it.
func (f *Function) Op(name string, d, n, m *Register, index int) {
	e, known := encodings[name]
	if !known {
		panic("no encoding of " + name)
	}
	i := instruction{writes: list(d), uses: list(n)}
	if m != nil {
		i.uses = append(i.uses, m)
	}
	if e.inPlace {
		i.uses = append(i.uses, d)
	}
	i.text = func() string {
		last := 0
		if m != nil {
			last = m.number
		}
		return e.assembly(d.number, n.number, last, index)
	}
	f.add(i)
}

// Constant returns where in a vector of constants a float32 is.
func (f *Function) Constant(value float32) (quad *Register, element int) {
	bits, at := math.Float32bits(value), 0
	for at < len(f.constants) && f.constants[at] != bits {
		at++
	}
	if at == len(f.constants) {
		f.constants = append(f.constants, bits)
		if at%4 == 0 {
			f.quads = append(f.quads, f.tableVector(4*at))
		}
	}
	return f.quads[at/4], at % 4
}

// Doubles returns a vector of a float64's or an integer's bits, twice. They are not to be mixed with Constant.
func (f *Function) Doubles(bits uint64) *Register {
	at := len(f.constants)
	f.constants = append(f.constants, uint32(bits), uint32(bits>>32), uint32(bits), uint32(bits>>32))
	return f.tableVector(4 * at)
}

// tableVector returns a vector that the prologue loads from so many bytes into the constants.
func (f *Function) tableVector(offset int) *Register {
	if f.table == nil {
		f.table = f.General()
		f.prologue = append(f.prologue, instruction{
			text:   func() string { return fmt.Sprintf("MOVD\t$%s<>(SB), %v", f.tableName(), f.table) },
			writes: list(f.table),
		})
	}
	v := f.Vector()
	f.prologue = append(f.prologue, instruction{
		text:   func() string { return fmt.Sprintf("FMOVQ\t%d(%v), %v", offset, f.table, v) },
		writes: list(v), uses: list(f.table),
	})
	return v
}

func (f *Function) tableName() string { return f.Name + "Constants" }

// Declaration returns the function's declaration in Go.
func (f *Function) Declaration() string { return "func " + f.Name + f.signature.String() }

// Assembly returns the function's text. The error is one of too few registers.
func (f *Function) Assembly() (string, error) {
	all := append(f.prologue[:len(f.prologue):len(f.prologue)], f.body...)
	if err := f.assign(all); err != nil {
		return "", err
	}
	text := new(strings.Builder)
	fmt.Fprintf(text, "// %s\n", f.Declaration())
	fmt.Fprintf(text, "TEXT ·%s(SB), NOSPLIT, $0-%d\n", f.Name, f.signature.Bytes())
	for _, i := range all {
		switch {
		case i.label != "":
			fmt.Fprintf(text, "\n%s:\n", i.label)
		case i.copies && i.writes[0].number == i.uses[0].number:
		default:
			fmt.Fprintf(text, "\t%s\n", i.text())
		}
	}
	if len(f.constants) > 0 {
		for len(f.constants)%4 > 0 {
			f.constants = append(f.constants, 0)
		}
		fmt.Fprintln(text)
		for i, bits := range f.constants {
			fmt.Fprintf(text, "DATA %s<>+%d(SB)/4, $0x%08x\n", f.tableName(), 4*i, bits)
		}
		fmt.Fprintf(text, "GLOBL %s<>(SB), RODATA|NOPTR, $%d\n", f.tableName(), 4*len(f.constants))
	}
	return text.String(), nil
}
