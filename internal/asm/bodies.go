package main

// rowKernels are the kernels over rows. A floor of −∞ leaves a result as it is, a floor of 0 applies ReLU.
var rowKernels = []*rowKernel{
	{
		name: "Affine", doc: "dst = max(a∘x + c, floor)", matrices: []string{"dst", "x"},
		columns: []column{{"a", true, 1}, {"c", true, 0}}, scalars: []string{"floor"},
		body: func(v *vector) {
			x := v.mulAdd(v.read("x"), v.value["a"], v.value["c"])
			v.write("dst", v.max(x, v.value["floor"]))
		},
	},
	{
		name: "Affine2", doc: "dst = max(a∘x + b∘y + c, floor)", matrices: []string{"dst", "x", "y"},
		columns: []column{{"a", true, 1}, {"b", true, 1}, {"c", true, 0}}, scalars: []string{"floor"},
		body: func(v *vector) {
			x, y := v.read("x"), v.read("y")
			y = v.mulAdd(y, v.value["b"], v.value["c"])
			v.addProduct(y, x, v.value["a"])
			v.write("dst", v.max(y, v.value["floor"]))
		},
	},
	{
		name: "Hadamard", doc: "dst = x∘y", matrices: []string{"dst", "x", "y"},
		body: func(v *vector) {
			x, y := v.read("x"), v.read("y")
			v.write("dst", v.mul(x, y))
		},
	},
	{
		name: "HadamardAdd", doc: "dst += x∘y", matrices: []string{"dst", "x", "y"},
		body: func(v *vector) {
			sum, x, y := v.read("dst"), v.read("x"), v.read("y")
			v.addProduct(sum, x, y)
			v.write("dst", sum)
		},
	},
	{
		name: "HadamardSum", doc: "dst = max(f + s + p∘(f∘s) + q, floor) with f = x + shift",
		matrices: []string{"dst", "x", "s"}, columns: []column{{"shift", true, 0}, {"p", false, 0}, {"q", false, 0}},
		scalars: []string{"floor"},
		body: func(v *vector) {
			f, s := v.read("x"), v.read("s")
			f = v.add(f, v.value["shift"])
			product := v.mul(f, s)
			f = v.add(v.add(f, s), v.value["q"])
			v.addProduct(f, product, v.value["p"])
			v.write("dst", v.max(f, v.value["floor"]))
		},
	},
	{
		name: "Dequantise", doc: "dst = max(f, floor) with f = a∘x + c of integers x", matrices: []string{"dst", "x"},
		columns: []column{{"a", false, 0}, {"c", true, 0}}, scalars: []string{"floor"},
		body: func(v *vector) { v.write("dst", v.max(dequantised(v), v.value["floor"])) },
	},
	{
		name: "DequantiseSum", doc: "dst = max(f + s, floor) with f = a∘x + c of integers x",
		matrices: []string{"dst", "x", "s"}, columns: []column{{"a", false, 0}, {"c", true, 0}}, scalars: []string{"floor"},
		body: func(v *vector) { v.write("dst", v.max(v.add(dequantised(v), v.read("s")), v.value["floor"])) },
	},
	{
		name: "DequantiseHadamardSum", doc: "dst = max(((f + s) + q) + p∘(f∘s), floor) with f = a∘x + c of integers x",
		matrices: []string{"dst", "x", "s"},
		columns:  []column{{"a", false, 0}, {"c", true, 0}, {"p", false, 0}, {"q", false, 0}}, scalars: []string{"floor"},
		body: func(v *vector) {
			f, s := dequantised(v), v.read("s")
			product := v.mul(v.mul(f, s), v.value["p"])
			y := v.add(v.add(v.add(f, s), v.value["q"]), product)
			v.write("dst", v.max(y, v.value["floor"]))
		},
	},
	{
		name: "HadamardSumGrad", doc: "df = dy + dz∘s and ds = dy + dz∘f with dz = a∘dy + b∘(f∘s) + c",
		matrices: []string{"df", "ds", "dy", "f", "s"},
		columns:  []column{{"a", false, 0}, {"b", false, 0}, {"c", false, 0}},
		body: func(v *vector) {
			dy, f, s := v.read("dy"), v.read("f"), v.read("s")
			dz := v.mulAdd(v.mul(f, s), v.value["b"], v.value["c"])
			v.addProduct(dz, dy, v.value["a"])
			v.write("df", v.mulAdd(s, dz, dy))
			v.write("ds", v.mulAdd(f, dz, dy))
		},
	},
	{
		name: "ReLUGrad", doc: "dx = dy where y > 0, else 0", matrices: []string{"dx", "dy", "y"},
		body: func(v *vector) {
			dy, y := v.read("dy"), v.read("y")
			v.write("dx", v.wherePositive(y, dy))
		},
	},
	{
		name: "Sums", doc: "sum += Σ x over the rows", matrices: []string{"x"}, sums: []string{"sum"},
		body: func(v *vector) { v.addTo(v.value["sum"], v.read("x")) },
	},
	{
		name: "Dots", doc: "sum += Σ x and dot += Σ x∘y over the rows", matrices: []string{"x", "y"},
		sums: []string{"sum", "dot"},
		body: func(v *vector) {
			x, y := v.read("x"), v.read("y")
			v.addTo(v.value["sum"], x)
			v.addProduct(v.value["dot"], y, x)
		},
	},
	{
		name: "Dots3", doc: "sum += Σ x and dot += Σ x∘y∘z over the rows", matrices: []string{"x", "y", "z"},
		sums: []string{"sum", "dot"},
		body: func(v *vector) {
			x, y, z := v.read("x"), v.read("y"), v.read("z")
			v.addTo(v.value["sum"], x)
			v.addProduct(v.value["dot"], v.mul(z, y), x)
		},
	},
	{
		name: "Deviations", doc: "sum += Σ d and squares += Σ d² over the rows with d = x − shift", matrices: []string{"x"},
		columns: []column{{"shift", false, 0}}, sums: []string{"sum", "squares"},
		body: func(v *vector) {
			x := v.sub(v.read("x"), v.value["shift"])
			v.addTo(v.value["sum"], x)
			v.addProduct(v.value["squares"], x, x)
		},
	},
	{
		name: "Deviations2", doc: "sum += Σ d and squares += Σ d² over the rows with d = x∘y − shift",
		matrices: []string{"x", "y"}, columns: []column{{"shift", false, 0}}, sums: []string{"sum", "squares"},
		body: func(v *vector) {
			x, y := v.read("x"), v.read("y")
			x = v.mulSub(x, y, v.value["shift"])
			v.addTo(v.value["sum"], x)
			v.addProduct(v.value["squares"], x, x)
		},
	},
	{
		name: "SGD", doc: "m = momentum·m + g + decay·w and w −= rate·(g + decay·w + momentum·m)",
		matrices: []string{"w", "m", "g"}, scalars: []string{"rate", "momentum", "decay"},
		body: func(v *vector) {
			w, m, g := v.read("w"), v.read("m"), v.read("g")
			v.addProduct(g, w, v.value["decay"])
			m = v.mulAdd(m, v.value["momentum"], g)
			v.write("m", m)
			v.addProduct(g, m, v.value["momentum"])
			v.subProduct(w, g, v.value["rate"])
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
			m, g := v.read("m"), v.read("g")
			v.addProduct(m, v.sub(g, m), v.value["rest1"])
			v.write("m", m)
			second := v.read("v")
			v.addProduct(second, v.sub(v.mul(g, g), second), v.value["rest2"])
			v.write("v", second)
			root := v.add(v.sqrt(v.mul(second, v.value["unbias"])), v.value["eps"])
			change := v.div(v.mul(m, v.value["rate"]), root)
			w := v.mulSub(v.read("w"), v.value["keep"], change)
			v.write("w", w)
		},
	},
}

// normalise is the kernel over rows of features.
var normalise = rowKernel{
	name: "Normalise", doc: "x = max(min((x − mean)/std, most), least)", matrices: []string{"x"},
	columns: []column{{"mean", false, 0}, {"std", false, 0}}, scalars: []string{"most", "least"},
	body: func(v *vector) {
		x := v.div(v.sub(v.read("x"), v.value["mean"]), v.value["std"])
		v.write("x", v.max(v.min(x, v.value["most"]), v.value["least"]))
	},
}

// dequantised returns a∘x + c of integers x, each operation rounded: results are to be the same in all sets.
func dequantised(v *vector) value {
	return v.add(v.mul(v.number(v.read("x")), v.value["a"]), v.value["c"])
}
