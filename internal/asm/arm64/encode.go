package arm64

import "fmt"

// arrangement is how an instruction divides its vectors.
type arrangement string

const (
	s4  arrangement = "4s"  // four floats
	d2  arrangement = "2d"  // two doubles
	s2  arrangement = "2s"  // two floats, the low half of a vector
	b16 arrangement = "16b" // bytes
	b8  arrangement = "8b"  // bytes, the low half of a vector
	h8  arrangement = "8h"  // words of 16 bits
)

// form is what operands an instruction has after its destination.
type form int

const (
	three   form = iota // two vectors
	two                 // one vector
	zero                // one vector, which is compared with 0
	element             // a vector and an element of another
	shifted             // a vector and a number of bits
)

// encoding is an instruction of Advanced SIMD: its word with all operands 0, as in the Arm Architecture Reference
// Manual (DDI 0487), C7.2.
type encoding struct {
	name    string
	to, of  arrangement // of the destination and of its operands
	form    form
	word    uint32
	inPlace bool   // the destination is an operand too
	golang  string // the instruction in Go's assembler, where that has it
}

// encodings are those that kernels use, by name, with a suffix for what is not on floats.
var encodings = map[string]encoding{
	"fadd":    {"fadd", s4, s4, three, 0x4e20d400, false, ""},
	"fsub":    {"fsub", s4, s4, three, 0x4ea0d400, false, ""},
	"fmul":    {"fmul", s4, s4, three, 0x6e20dc00, false, ""},
	"fdiv":    {"fdiv", s4, s4, three, 0x6e20fc00, false, ""},
	"fmax":    {"fmax", s4, s4, three, 0x4e20f400, false, ""},
	"fmin":    {"fmin", s4, s4, three, 0x4ea0f400, false, ""},
	"fminnm":  {"fminnm", s4, s4, three, 0x4ea0c400, false, ""},
	"faddp":   {"faddp", s4, s4, three, 0x6e20d400, false, ""},
	"fmla":    {"fmla", s4, s4, three, 0x4e20cc00, true, "VFMLA"},
	"fmls":    {"fmls", s4, s4, three, 0x4ea0cc00, true, "VFMLS"},
	"fmul_e":  {"fmul", s4, s4, element, 0x4f809000, false, ""},
	"fmla_e":  {"fmla", s4, s4, element, 0x4f801000, true, ""},
	"fmls_e":  {"fmls", s4, s4, element, 0x4f805000, true, ""},
	"fsqrt":   {"fsqrt", s4, s4, two, 0x6ea1f800, false, ""},
	"fneg":    {"fneg", s4, s4, two, 0x6ea0f800, false, ""},
	"fcmgt0":  {"fcmgt", s4, s4, zero, 0x4ea0c800, false, ""},
	"trn1":    {"trn1", s4, s4, three, 0x4e802800, false, "VTRN1"},
	"trn2":    {"trn2", s4, s4, three, 0x4e806800, false, "VTRN2"},
	"zip1_d":  {"zip1", d2, d2, three, 0x4ec03800, false, "VZIP1"},
	"zip2_d":  {"zip2", d2, d2, three, 0x4ec07800, false, "VZIP2"},
	"and":     {"and", b16, b16, three, 0x4e201c00, false, "VAND"},
	"smull":   {"smull", h8, b8, three, 0x0e20c000, false, ""},
	"smull2":  {"smull2", h8, b16, three, 0x4e20c000, false, ""},
	"smlal":   {"smlal", h8, b8, three, 0x0e208000, true, ""},
	"smlal2":  {"smlal2", h8, b16, three, 0x4e208000, true, ""},
	"sadalp":  {"sadalp", s4, h8, two, 0x4e606800, true, ""},
	"addp":    {"addp", s4, s4, three, 0x4ea0bc00, false, ""},
	"fadd_d":  {"fadd", d2, d2, three, 0x4e60d400, false, ""},
	"fsub_d":  {"fsub", d2, d2, three, 0x4ee0d400, false, ""},
	"fmul_d":  {"fmul", d2, d2, three, 0x6e60dc00, false, ""},
	"fdiv_d":  {"fdiv", d2, d2, three, 0x6e60fc00, false, ""},
	"fmla_d":  {"fmla", d2, d2, three, 0x4e60cc00, true, "VFMLA"},
	"add_d":   {"add", d2, d2, three, 0x4ee08400, false, "VADD"},
	"sub_d":   {"sub", d2, d2, three, 0x6ee08400, false, "VSUB"},
	"scvtf":   {"scvtf", s4, s4, two, 0x4e21d800, false, ""},
	"scvtf_d": {"scvtf", d2, d2, two, 0x4e61d800, false, ""},
	"ushr_d":  {"ushr", d2, d2, shifted, 0x6f000400, false, "VUSHR"},
	"fcvtl":   {"fcvtl", d2, s2, two, 0x0e617800, false, ""},
	"fcvtl2":  {"fcvtl2", d2, s4, two, 0x4e617800, false, ""},
	"fcvtn":   {"fcvtn", s2, d2, two, 0x0e616800, false, ""},
	"fcvtn2":  {"fcvtn2", s4, d2, two, 0x4e616800, true, ""},
}

// assembly returns the instruction on vectors of the given numbers as Go assembly: in words of Go's assembler, or as a
// WORD with the instruction in Arm's words. m and index are what the form needs: a vector, its element, or bits.
func (e encoding) assembly(d, n, m, index int) string {
	if e.golang != "" {
		if e.form == shifted {
			return fmt.Sprintf("%s\t$%d, %s, %s", e.golang, index, goVector(n, e.of), goVector(d, e.to))
		}
		return fmt.Sprintf("%s\t%s, %s, %s", e.golang, goVector(m, e.of), goVector(n, e.of), goVector(d, e.to))
	}
	word, text := e.encode(d, n, m, index)
	return fmt.Sprintf("WORD\t$0x%08x // %s", word, text)
}

// encode returns the instruction as a word and in Arm's syntax.
func (e encoding) encode(d, n, m, index int) (uint32, string) {
	word := e.word | uint32(d) | uint32(n)<<5
	text := fmt.Sprintf("%s v%d.%s, v%d.%s", e.name, d, e.to, n, e.of)
	switch e.form {
	case three:
		return word | uint32(m)<<16, text + fmt.Sprintf(", v%d.%s", m, e.of)
	case element: // bits L and H are the element's number
		word |= uint32(m)<<16 | uint32(index&1)<<21 | uint32(index>>1)<<11
		return word, text + fmt.Sprintf(", v%d.s[%d]", m, index)
	case shifted: // to the right, of doublewords
		return word | uint32(128-index)<<16, text + fmt.Sprintf(", #%d", index)
	case zero:
		return word, text + ", #0.0"
	}
	return word, text
}

// goVector is a vector register in Go's syntax.
func goVector(number int, a arrangement) string {
	of := map[arrangement]string{s4: "S4", d2: "D2", s2: "S2", b16: "B16"}[a]
	return fmt.Sprintf("V%d.%s", number, of)
}
