package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// The arithmetic of AVX2 and AVX-512. Their values are registers; constants are operands in memory, which last operands
// may be.

// result returns a new vector, what an instruction makes of two operands, in Intel's order.
func (s isa) result(instruct func(...Op), a, b value) value {
	v := s.vec()
	instruct(b.(Op), a.(Op), v)
	return v
}

func (s isa) copied(a value) value {
	v := s.vec()
	VMOVAPS(a.(Op), v)
	return v
}

func (s isa) add(a, b value) value { return s.result(VADDPS, a, b) }
func (s isa) sub(a, b value) value { return s.result(VSUBPS, a, b) }
func (s isa) mul(a, b value) value { return s.result(VMULPS, a, b) }
func (s isa) div(a, b value) value { return s.result(VDIVPS, a, b) }

// max and min take a as Intel's last operand, which is the result where one is not a number.
func (s isa) max(a, b value) value { return s.result(VMAXPS, b, a) }
func (s isa) min(a, b value) value { return s.result(VMINPS, b, a) }

func (s isa) sqrt(a value) value {
	v := s.vec()
	VSQRTPS(a.(Op), v)
	return v
}

func (s isa) wherePositive(y, x value) value {
	const greater = 30 // GT_OQ: false where either is not a number
	zero, v := s.zero(), s.vec()
	if s.wide() {
		positive := K()
		VCMPPS(U8(greater), zero, y.(Op), positive)
		VMOVUPS_Z(x.(Op), positive, v)
	} else {
		VCMPPS(U8(greater), zero, y.(Op), v)
		VANDPS(v, x.(Op), v)
	}
	return v
}

func (s isa) number(a value) value {
	v := s.vec()
	VCVTDQ2PS(a.(Op), v)
	return v
}

func (s isa) addTo(sum, a value)         { VADDPS(a.(Op), sum.(Op), sum.(Op)) }
func (s isa) addProduct(sum, a, b value) { VFMADD231PS(b.(Op), a.(Op), sum.(Op)) }
func (s isa) subProduct(sum, a, b value) { VFNMADD231PS(b.(Op), a.(Op), sum.(Op)) }

func (s isa) mulAdd(a, b, c value) value {
	VFMADD213PS(c.(Op), b.(Op), a.(Op))
	return a
}

func (s isa) mulSub(a, b, c value) value {
	VFMSUB213PS(c.(Op), b.(Op), a.(Op))
	return a
}

func (s isa) factor(constant float32) value { return constantData(constant) }
