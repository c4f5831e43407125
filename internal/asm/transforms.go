package main

// winograd describes the transforms of one of Winograd's algorithms and those of its gradients. Type Winograd of
// package simd explains them and has their matrices, which its tests compare the generated code with.
type winograd struct {
	name                  string
	outputs, taps, points int
	constants             []float32 // that the transforms use, in the order of the data
	input                 transform // from points rows to points
	weight                transform // from taps to points
	output                transform // from points to outputs
	weightGrad            transform // from points to taps
	outputGrad            transform // from outputs to points
}

type transform = func(s arithmetic, x []value) []value

var winograds = []winograd{
	{
		name: "WinogradF23", outputs: 2, taps: 3, points: 4, constants: []float32{1. / 2},
		input: func(s arithmetic, x []value) []value {
			sum, difference := pair(s, x[2], x[1])
			return []value{s.sub(x[0], x[2]), sum, difference, s.sub(x[3], x[1])}
		},
		weight: func(s arithmetic, g []value) []value {
			sum, difference := pair(s, scale(s, 1./2, s.add(g[0], g[2])), scale(s, 1./2, g[1]))
			return []value{g[0], sum, difference, g[2]}
		},
		output: func(s arithmetic, m []value) []value {
			sum, difference := pair(s, m[1], m[2])
			return []value{s.add(m[0], sum), s.add(m[3], difference)}
		},
		weightGrad: func(s arithmetic, u []value) []value {
			sum, difference := pair(s, u[1], u[2])
			return []value{add2(s, u[0], 1./2, sum), scale(s, 1./2, difference), add2(s, u[3], 1./2, sum)}
		},
		outputGrad: func(s arithmetic, d []value) []value {
			sum, difference := pair(s, d[0], d[1])
			return []value{d[0], sum, difference, d[1]}
		},
	},
	{
		name: "WinogradF33", outputs: 3, taps: 3, points: 5,
		constants: []float32{4, 3, 2, 2. / 3, 1. / 2, 1. / 3, 1. / 6, -1. / 2},
		input: func(s arithmetic, x []value) []value {
			v3 := s.sub(x[3], x[1])
			return []value{
				add2(s, v3, 2, s.sub(x[0], x[2])),
				s.sub(v3, s.add(x[1], x[2])),
				add2(s, v3, 3, s.sub(x[1], x[2])),
				v3,
				sub2(s, s.sub(x[4], x[2]), 2, v3),
			}
		},
		weight: func(s arithmetic, g []value) []value {
			even := s.add(g[0], g[2])
			return []value{
				scale(s, 1./2, g[0]),
				scale(s, -1./2, s.add(even, g[1])),
				scale(s, 1./6, s.sub(g[1], even)),
				add2(s, add2(s, scale(s, 1./6, g[0]), 1./3, g[1]), 2./3, g[2]),
				g[2],
			}
		},
		output: func(s arithmetic, m []value) []value {
			sum := s.add(m[1], m[2])
			return []value{
				s.add(s.add(m[0], m[3]), sum),
				add2(s, s.sub(m[1], m[2]), 2, m[3]),
				s.add(add2(s, m[4], 4, m[3]), sum),
			}
		},
		weightGrad: func(s arithmetic, u []value) []value {
			half := scale(s, -1./2, u[1])
			return []value{
				add2(s, add2(s, half, 1./2, u[0]), 1./6, s.sub(u[3], u[2])),
				add2(s, add2(s, half, 1./6, u[2]), 1./3, u[3]),
				add2(s, sub2(s, s.add(half, u[4]), 1./6, u[2]), 2./3, u[3]),
			}
		},
		outputGrad: func(s arithmetic, d []value) []value {
			even := s.add(d[0], d[2])
			sum, difference := pair(s, even, d[1])
			return []value{d[0], sum, difference, add2(s, add2(s, d[0], 2, d[1]), 4, d[2]), d[2]}
		},
	},
	{
		name: "WinogradF45", outputs: 4, taps: 5, points: 8,
		constants: []float32{
			8, 21. / 4, 5, 17. / 4, 4, 5. / 2, 2, 5. / 4, 1. / 2, 1. / 4, 1. / 8,
			-2. / 9, 1. / 90, 2. / 45, 4. / 45, 8. / 45, 16. / 45, 32. / 45, 1. / 45,
		},
		input: func(s arithmetic, x []value) []value {
			v0 := add2(s, s.sub(x[0], x[6]), 21./4, s.sub(x[4], x[2]))
			v7 := add2(s, s.sub(x[7], x[1]), 21./4, s.sub(x[3], x[5]))
			v1, v2 := pair(s, sub2(s, s.add(x[2], x[6]), 17./4, x[4]), sub2(s, s.add(x[1], x[5]), 17./4, x[3]))
			v3, v4 := pair(s, sub2(s, add2(s, x[6], 1./4, x[2]), 5./4, x[4]),
				sub2(s, add2(s, scale(s, 2, x[5]), 1./2, x[1]), 5./2, x[3]))
			v5, v6 := pair(s, sub2(s, add2(s, x[6], 4, x[2]), 5, x[4]),
				sub2(s, add2(s, scale(s, 2, x[1]), 1./2, x[5]), 5./2, x[3]))
			return []value{v0, v1, v2, v3, v4, v5, v6, v7}
		},
		weight: func(s arithmetic, g []value) []value {
			u1, u2 := pair(s, s.add(s.add(g[0], g[4]), g[2]), s.add(g[1], g[3]))
			u3, u4 := pair(s, add2(s, add2(s, scale(s, 1./90, g[0]), 2./45, g[2]), 8./45, g[4]),
				add2(s, scale(s, 1./45, g[1]), 4./45, g[3]))
			u5, u6 := pair(s, add2(s, add2(s, scale(s, 32./45, g[0]), 8./45, g[2]), 2./45, g[4]),
				add2(s, scale(s, 16./45, g[1]), 4./45, g[3]))
			return []value{g[0], scale(s, -2./9, u1), scale(s, -2./9, u2), u3, u4, u5, u6, g[4]}
		},
		output: func(s arithmetic, m []value) []value {
			s1, d1 := pair(s, m[1], m[2])
			s2, d2 := pair(s, m[3], m[4])
			s3, d3 := pair(s, m[5], m[6])
			return []value{
				s.add(s.add(m[0], s1), s.add(s2, s3)),
				add2(s, add2(s, d1, 2, d2), 1./2, d3),
				add2(s, add2(s, s1, 4, s2), 1./4, s3),
				add2(s, add2(s, s.add(d1, m[7]), 8, d2), 1./8, d3),
			}
		},
		weightGrad: func(s arithmetic, u []value) []value {
			s1, d1 := pair(s, u[1], u[2])
			s3, d3 := pair(s, u[3], u[4])
			s5, d5 := pair(s, u[5], u[6])
			s1, d1 = scale(s, -2./9, s1), scale(s, -2./9, d1)
			return []value{
				add2(s, add2(s, s.add(s1, u[0]), 1./90, s3), 32./45, s5),
				add2(s, add2(s, d1, 1./45, d3), 16./45, d5),
				add2(s, add2(s, s1, 2./45, s3), 8./45, s5),
				add2(s, d1, 4./45, s.add(d3, d5)),
				add2(s, add2(s, s.add(s1, u[7]), 8./45, s3), 2./45, s5),
			}
		},
		outputGrad: func(s arithmetic, d []value) []value {
			z1, z2 := pair(s, s.add(d[0], d[2]), s.add(d[1], d[3]))
			z3, z4 := pair(s, add2(s, d[0], 4, d[2]), add2(s, scale(s, 2, d[1]), 8, d[3]))
			z5, z6 := pair(s, add2(s, d[0], 1./4, d[2]), add2(s, scale(s, 1./2, d[1]), 1./8, d[3]))
			return []value{d[0], z1, z2, z3, z4, z5, z6, d[3]}
		},
	},
}
