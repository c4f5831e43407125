package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// rowKernels are the kernels over rows. A floor of −∞ leaves a result as it is, a floor of 0 applies ReLU.
var rowKernels = []*rowKernel{
	{
		name: "Affine", doc: "dst = max(a∘x + c, floor)", matrices: []string{"dst", "x"},
		columns: []column{{"a", true, 1}, {"c", true, 0}}, scalars: []string{"floor"},
		body: func(v *vector) {
			x := v.read("x")
			VFMADD213PS(v.value["c"], v.value["a"], x)
			VMAXPS(x, v.value["floor"], x)
			v.write("dst", x)
		},
	},
	{
		name: "Affine2", doc: "dst = max(a∘x + b∘y + c, floor)", matrices: []string{"dst", "x", "y"},
		columns: []column{{"a", true, 1}, {"b", true, 1}, {"c", true, 0}}, scalars: []string{"floor"},
		body: func(v *vector) {
			x, y := v.read("x"), v.read("y")
			VFMADD213PS(v.value["c"], v.value["b"], y)
			VFMADD231PS(v.value["a"], x, y)
			VMAXPS(y, v.value["floor"], y)
			v.write("dst", y)
		},
	},
	{
		name: "Hadamard", doc: "dst = x∘y", matrices: []string{"dst", "x", "y"},
		body: func(v *vector) {
			x, y := v.read("x"), v.read("y")
			VMULPS(x, y, y)
			v.write("dst", y)
		},
	},
	{
		name: "HadamardAdd", doc: "dst += x∘y", matrices: []string{"dst", "x", "y"},
		body: func(v *vector) {
			sum, x, y := v.read("dst"), v.read("x"), v.read("y")
			VFMADD231PS(x, y, sum)
			v.write("dst", sum)
		},
	},
	{
		name: "HadamardSum", doc: "dst = max(f + s + p∘(f∘s) + q, floor) with f = x + shift",
		matrices: []string{"dst", "x", "s"}, columns: []column{{"shift", true, 0}, {"p", false, 0}, {"q", false, 0}},
		scalars: []string{"floor"},
		body: func(v *vector) {
			f, s, product := v.read("x"), v.read("s"), v.vec()
			VADDPS(v.value["shift"], f, f)
			VMULPS(f, s, product)
			VADDPS(s, f, f)
			VADDPS(v.value["q"], f, f)
			VFMADD231PS(v.value["p"], product, f)
			VMAXPS(f, v.value["floor"], f)
			v.write("dst", f)
		},
	},
	{
		name: "HadamardSumGrad", doc: "df = dy + dz∘s and ds = dy + dz∘f with dz = a∘dy + b∘(f∘s) + c",
		matrices: []string{"df", "ds", "dy", "f", "s"},
		columns:  []column{{"a", false, 0}, {"b", false, 0}, {"c", false, 0}},
		body: func(v *vector) {
			dy, f, s, dz := v.read("dy"), v.read("f"), v.read("s"), v.vec()
			VMULPS(f, s, dz)
			VFMADD213PS(v.value["c"], v.value["b"], dz)
			VFMADD231PS(v.value["a"], dy, dz)
			VFMADD213PS(dy, dz, s)
			VFMADD213PS(dy, dz, f)
			v.write("df", s)
			v.write("ds", f)
		},
	},
	{
		name: "ReLUGrad", doc: "dx = dy where y > 0, else 0", matrices: []string{"dx", "dy", "y"},
		body: reluGrad,
	},
	{
		name: "Sums", doc: "sum += Σ x over the rows", matrices: []string{"x"}, sums: []string{"sum"},
		body: func(v *vector) { VADDPS(v.read("x"), v.value["sum"], v.value["sum"]) },
	},
	{
		name: "Dots", doc: "sum += Σ x and dot += Σ x∘y over the rows", matrices: []string{"x", "y"},
		sums: []string{"sum", "dot"},
		body: func(v *vector) {
			x, y := v.read("x"), v.read("y")
			VADDPS(x, v.value["sum"], v.value["sum"])
			VFMADD231PS(x, y, v.value["dot"])
		},
	},
	{
		name: "Dots3", doc: "sum += Σ x and dot += Σ x∘y∘z over the rows", matrices: []string{"x", "y", "z"},
		sums: []string{"sum", "dot"},
		body: func(v *vector) {
			x, y, z := v.read("x"), v.read("y"), v.read("z")
			VADDPS(x, v.value["sum"], v.value["sum"])
			VMULPS(y, z, y)
			VFMADD231PS(x, y, v.value["dot"])
		},
	},
	{
		name: "Deviations", doc: "sum += Σ d and squares += Σ d² over the rows with d = x − shift", matrices: []string{"x"},
		columns: []column{{"shift", false, 0}}, sums: []string{"sum", "squares"},
		body: func(v *vector) {
			x := v.read("x")
			VSUBPS(v.value["shift"], x, x)
			VADDPS(x, v.value["sum"], v.value["sum"])
			VFMADD231PS(x, x, v.value["squares"])
		},
	},
	{
		name: "Deviations2", doc: "sum += Σ d and squares += Σ d² over the rows with d = x∘y − shift",
		matrices: []string{"x", "y"}, columns: []column{{"shift", false, 0}}, sums: []string{"sum", "squares"},
		body: func(v *vector) {
			x, y := v.read("x"), v.read("y")
			VFMSUB213PS(v.value["shift"], y, x)
			VADDPS(x, v.value["sum"], v.value["sum"])
			VFMADD231PS(x, x, v.value["squares"])
		},
	},
	{
		name: "SGD", doc: "m = momentum·m + g + decay·w and w −= rate·(g + decay·w + momentum·m)",
		matrices: []string{"w", "m", "g"}, scalars: []string{"rate", "momentum", "decay"},
		body: func(v *vector) {
			w, m, g := v.read("w"), v.read("m"), v.read("g")
			VFMADD231PS(v.value["decay"], w, g)
			VFMADD213PS(g, v.value["momentum"], m)
			v.write("m", m)
			VFMADD231PS(v.value["momentum"], m, g)
			VFNMADD231PS(v.value["rate"], g, w)
			v.write("w", w)
		},
	},
	{
		name: "AdamW",
		doc: "m += rest1·(g − m), v += rest2·(g² − v) and w = keep·w − rate·m/(√(v·unbias) + eps):\n" +
			"rest1 = 1−β₁, rest2 = 1−β₂; rate holds m's bias correction, unbias is v's",
		matrices: []string{"w", "m", "v", "g"},
		scalars:  []string{"keep", "rate", "rest1", "rest2", "unbias", "eps"},
		body: func(v *vector) {
			m, g, change := v.read("m"), v.read("g"), v.vec()
			VSUBPS(m, g, change)
			VFMADD231PS(v.value["rest1"], change, m)
			v.write("m", m)
			second := v.read("v")
			VMULPS(g, g, g)
			VSUBPS(second, g, g)
			VFMADD231PS(v.value["rest2"], g, second)
			v.write("v", second)
			VMULPS(v.value["unbias"], second, second)
			VSQRTPS(second, second)
			VADDPS(v.value["eps"], second, second)
			VMULPS(v.value["rate"], m, m)
			VDIVPS(second, m, m)
			w := v.read("w")
			VFMSUB213PS(m, v.value["keep"], w)
			v.write("w", w)
		},
	},
}

func reluGrad(v *vector) {
	const greater = 30 // GT_OQ: false where either is not a number
	dy, y, zero := v.read("dy"), v.read("y"), v.zero()
	if v.wide() {
		positive := K()
		VCMPPS(U8(greater), zero, y, positive)
		VMOVUPS_Z(dy, positive, dy)
	} else {
		VCMPPS(U8(greater), zero, y, y)
		VANDPS(y, dy, dy)
	}
	v.write("dx", dy)
}
