package device

import (
	"fmt"
	"math"
	"unsafe"
)

// host is what the devices that work in the host's memory have in common: the memory, and the operations
// whose cost is a few values a column, where there is nothing to tune.
type host struct{}

// alignment is a cache line, so that no vector of an aligned row straddles two.
const alignment = 64

func (host) Alloc(n int) Buffer {
	s := make([]float32, n+alignment/4)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(s)))%alignment) / 4
	return hostBuffer(s[skip : skip+n : skip+n])
}

// Free leaves the memory to the garbage collector.
func (host) Free(Buffer) {}

func (host) Upload(dst Buffer, src []float32)   { copy(values(dst), src) }
func (host) Download(dst []float32, src Buffer) { copy(dst, values(src)) }

// values returns b's memory, which has to be the host's.
func values(b Buffer) []float32 {
	if b.n > 0 && b.host == nil {
		panic(fmt.Sprintf("device: a buffer of %d values at %#x is not in the host's memory", b.n, b.addr))
	}
	return b.host
}

// row returns row r of group g.
func (v View) row(g, r int) []float32 {
	start := g*v.GroupStride + r*v.RowStride
	return values(v.Data)[start : start+v.Cols : start+v.Cols]
}

// at returns column c's value, or missing where the vector was left out.
func at(b Buffer, c int, missing float64) float64 {
	if b.Empty() {
		return missing
	}
	return float64(values(b)[c])
}

func (host) NormForward(n Norm, eps, momentum float32, count int) {
	alpha := at(n.Alpha, 0, 1)
	unbiased := 1.0
	if count > 1 {
		unbiased = float64(count) / float64(count-1)
	}
	for c := range n.Gamma.Len() {
		mean, variance := at(n.Mean, c, 0), at(n.Var, c, 0)
		scale := at(n.Gamma, c, 1) / math.Sqrt(variance+float64(eps))
		values(n.Scale)[c] = float32(alpha * scale)
		values(n.Shift)[c] = float32(alpha * (at(n.Beta, c, 0) - mean*scale))
		if !n.RunMean.Empty() {
			moveTowards(&values(n.RunMean)[c], mean, momentum)
		}
		if !n.RunVar.Empty() {
			moveTowards(&values(n.RunVar)[c], variance*unbiased, momentum)
		}
	}
}

func moveTowards(x *float32, target float64, t float32) {
	*x = float32(float64(*x) + float64(t)*(target-float64(*x)))
}

// NormBackward follows Ioffe and Szegedy (2015), section 3. With x̂ = (x−mean)/√(variance+eps) and N = count,
// dx = α·γ/√(variance+eps) · (dy − Σdy/N − x̂·Σ(dy∘x̂)/N), sorted here by dy, x and constants.
func (host) NormBackward(n Norm, sum, dot Buffer, a, b, c Buffer, eps float32, count int) {
	alpha, dalpha := at(n.Alpha, 0, 1), 0.0
	for i := range n.Gamma.Len() {
		mean, gamma := at(n.Mean, i, 0), at(n.Gamma, i, 1)
		inv := 1 / math.Sqrt(at(n.Var, i, 0)+float64(eps))
		dySum := at(sum, i, 0)
		dyDotHat := inv * (at(dot, i, 0) - mean*dySum)

		scale := alpha * gamma * inv
		slope := -scale * inv * dyDotHat / float64(count)
		values(a)[i] = float32(scale)
		values(b)[i] = float32(slope)
		values(c)[i] = float32(-scale*dySum/float64(count) - slope*mean)

		if !n.DGamma.Empty() {
			values(n.DGamma)[i] += float32(alpha * dyDotHat)
		}
		if !n.DBeta.Empty() {
			values(n.DBeta)[i] += float32(alpha * dySum)
		}
		dalpha += gamma*dyDotHat + at(n.Beta, i, 0)*dySum
	}
	if !n.DAlpha.Empty() {
		values(n.DAlpha)[0] += float32(dalpha)
	}
}
