package main

// value is a vector in an instruction set's own form.
type value any

// arithmetic are the operations that the bodies of kernels are described in, once for all instruction sets. Results are
// new vectors where a method does not say otherwise.
type arithmetic interface {
	copied(a value) value
	add(a, b value) value
	sub(a, b value) value
	mul(a, b value) value
	div(a, b value) value
	sqrt(a value) value
	max(a, b value) value           // a number and b: NaN where a is
	min(a, b value) value           // the same
	wherePositive(y, x value) value // x where y > 0, else 0
	number(a value) value           // of integers of 32 bits

	addTo(sum, a value)            // sum += a
	addProduct(sum, a, b value)    // sum += a·b
	subProduct(sum, a, b value)    // sum −= a·b
	mulAdd(a, b, c value) value    // a·b + c, perhaps in the place of a
	mulSub(a, b, c value) value    // a·b − c, perhaps in the place of a
	factor(constant float32) value // for the last operand of mul, addProduct and subProduct
}

// pair returns a + b and a − b.
func pair(s arithmetic, a, b value) (sum, difference value) { return s.add(a, b), s.sub(a, b) }

func scale(s arithmetic, factor float32, a value) value { return s.mul(a, s.factor(factor)) }

// add2 returns a + factor·b.
func add2(s arithmetic, a value, factor float32, b value) value {
	sum := s.copied(a)
	s.addProduct(sum, b, s.factor(factor))
	return sum
}

// sub2 returns a − factor·b.
func sub2(s arithmetic, a value, factor float32, b value) value {
	sum := s.copied(a)
	s.subProduct(sum, b, s.factor(factor))
	return sum
}

// point is a complex number in each lane.
type point struct{ re, im value }

// times multiplies z by a factor that is the same in all lanes.
func times(s arithmetic, z, factor point) point {
	product := point{s.mul(z.re, factor.re), s.mul(z.re, factor.im)}
	s.subProduct(product.re, z.im, factor.im)
	s.addProduct(product.im, z.im, factor.re)
	return product
}

// plus returns a + b, minus a − b.
func plus(s arithmetic, a, b point) point  { return point{s.add(a.re, b.re), s.add(a.im, b.im)} }
func minus(s arithmetic, a, b point) point { return point{s.sub(a.re, b.re), s.sub(a.im, b.im)} }

// butterfly returns the Fourier transform of four points.
func butterfly(s arithmetic, a, b, c, d point) [4]point {
	sum02, dif02 := plus(s, a, c), minus(s, a, c)
	sum13, dif13 := plus(s, b, d), minus(s, b, d)
	return [4]point{
		plus(s, sum02, sum13),
		{s.add(dif02.re, dif13.im), s.sub(dif02.im, dif13.re)},
		minus(s, sum02, sum13),
		{s.sub(dif02.re, dif13.im), s.add(dif02.im, dif13.re)},
	}
}

// powerBins returns the powers of a bin and its mirror, given the points of z there and the bin's factor.
func powerBins(s arithmetic, a, b, factor point, quarter value) (low, high value) {
	even := point{s.add(a.re, b.re), s.sub(a.im, b.im)}
	odd := times(s, point{s.add(a.im, b.im), s.sub(b.re, a.re)}, factor)
	return binPower(s, plus(s, even, odd), quarter), binPower(s, minus(s, even, odd), quarter)
}

func binPower(s arithmetic, z point, quarter value) value {
	sum := s.mul(z.re, z.re)
	s.addProduct(sum, z.im, z.im)
	return s.mul(sum, quarter)
}
