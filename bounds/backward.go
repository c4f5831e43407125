package bounds

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/polyphon/polyphon/device"
)

// lanes is how many linear functions a pass substitutes together.
const lanes = 32

// objective is a linear function of one node's values that a pass bounds: entries with factors.
type objective struct {
	node    int
	entries []int
	factors []float32
}

// pass substitutes up to lanes objectives backwards, as matrix products in float32. All it computes with are deviations
// from the network's values at the middle of the region (Bounds.base), and what rounding does to them is part of the
// result (Bounds.slack): the error of a coefficient is at most a share of the sum of the sizes that meet in it, and so
// is that of its product with a deviation, whose size is bounded. It is used by one goroutine at a time.
type pass struct {
	b *Bounds
	// adaptive takes of each ReLU the lower line that suits it where a lower bound is asked for (CROWN): line.hi is then
	// meaningless. Otherwise lower and upper lines are parallel and both bounds come of one substitution.
	adaptive bool
	width    int // objectives of this run
	// coef has the objectives' coefficients of the values of each node, (rows, width, cols); those of rows from … to are
	// not 0.
	coef     []device.Buffer
	from, to []int
}

func newPass(b *Bounds) *pass {
	n := len(b.net.nodes)
	return &pass{b: b, coef: make([]device.Buffer, n), from: make([]int, n), to: make([]int, n)}
}

// open makes rows from … to of a node's coefficients usable and returns those of the whole tensor.
func (p *pass) open(id, from, to int) []float32 {
	v := &p.b.net.nodes[id]
	if p.coef[id].Empty() {
		p.coef[id] = p.b.net.dev.Alloc(v.rows * v.cols * lanes)
	}
	c, row := p.coef[id].Host(), p.width*v.cols
	if p.from[id] >= p.to[id] {
		clear(c[from*row : to*row])
		p.from[id], p.to[id] = from, to
		return c
	}
	if from < p.from[id] {
		clear(c[from*row : p.from[id]*row])
		p.from[id] = from
	}
	if to > p.to[id] {
		clear(c[p.to[id]*row : to*row])
		p.to[id] = to
	}
	return c
}

// sums are what substitution has found of an objective o: o − Σ factors·base = c + s·g ± (r + e), e of rounding.
type sums struct{ c, s, r, e float64 }

// run bounds the objectives. A node of a level of at most stop is replaced by its Form, as the input is. With factors
// k, the objectives are pairs, the first half of them x and the second half y, and then follow the bounds of all
// x/k + k·y and all x/k − k·y.
func (p *pass) run(objectives []objective, stop int, k []float64) []line {
	p.width = len(objectives)
	top := 0
	for i, o := range objectives {
		v := &p.b.net.nodes[o.node]
		for j, e := range o.entries {
			row := e / v.cols
			p.open(o.node, row, row+1)[(row*p.width+i)*v.cols+e%v.cols] += o.factors[j]
		}
		top = max(top, o.node)
	}
	all := make([]sums, p.width+2*len(k)) // of the objectives, then of the pairs' sums and differences
	for id := top; id >= 0; id-- {
		from, to := p.from[id], p.to[id]
		if from >= to {
			continue
		}
		p.from[id], p.to[id] = 0, 0
		v := &p.b.net.nodes[id]
		leaf := v.kind == input || v.level <= stop
		if p.constants(id, v, from, to, leaf, all, k); !leaf {
			p.propagate(id, v, from, to)
		}
	}
	return p.lines(objectives, all, k)
}

// lines returns the bounds of the objectives.
func (p *pass) lines(objectives []objective, all []sums, k []float64) []line {
	for i, f := range k {
		x, y := all[i], all[i+len(k)]
		for j, sign := range []float64{1, -1} {
			t := &all[p.width+j*len(k)+i]
			t.c, t.s, t.e = x.c/f+sign*f*y.c, x.s/f+sign*f*y.s, x.e/f+f*y.e
		}
	}
	list := make([]line, len(all))
	for i, t := range all {
		list[i] = line{c: t.c, s: t.s, lo: -t.r - t.e, hi: t.r + t.e}
	}
	bases := make([]float64, len(objectives))
	for i, o := range objectives {
		for j, e := range o.entries {
			bases[i] += float64(o.factors[j]) * p.b.base[o.node][e]
		}
		list[i].c += bases[i]
	}
	for i, f := range k {
		list[p.width+i].c += bases[i]/f + f*bases[i+len(k)]
		list[p.width+len(k)+i].c += bases[i]/f - f*bases[i+len(k)]
	}
	return list
}

// constants adds what is constant about a node's rows from … to.
func (p *pass) constants(id int, v *node, from, to int, leaf bool, all []sums, k []float64) {
	b := p.b
	t := &b.terms[id]
	if leaf {
		t = b.leaf(id)
	}
	coef := p.coef[id].Host()
	adaptive := p.adaptive && v.kind == rectifier && !leaf
	for r := from; r < to; r++ {
		begin, end := r*v.cols, (r+1)*v.cols
		slack := t.slack[begin:end]
		row := func(i int) []float32 { return coef[(r*p.width+i)*v.cols:][:v.cols] }
		for i := range p.width {
			a, s := row(i), &all[i]
			for j, x := range a {
				s.e += math.Abs(float64(x)) * slack[j]
			}
			switch {
			case t.middle == nil:
			case adaptive:
				middle, half, below := t.middle[begin:end], t.half[begin:end], t.below[begin:end]
				for j, x := range a {
					if x > 0 {
						s.c += float64(x) * below[j]
					} else {
						s.c += float64(x) * (middle[j] + half[j])
					}
				}
			default:
				middle, half := t.middle[begin:end], t.half[begin:end]
				for j, x := range a {
					s.c += float64(x) * middle[j]
					s.r += math.Abs(float64(x)) * half[j]
				}
			}
			if t.slope != nil {
				for j, x := range a {
					s.s += float64(x) * t.slope[begin+j]
				}
			}
		}
		if t.half == nil {
			continue
		}
		half := t.half[begin:end]
		for i, f := range k {
			x, y := row(i), row(i+len(k))
			sum, difference := 0.0, 0.0
			for j, h := range half {
				u, w := float64(x[j])/f, f*float64(y[j])
				sum += math.Abs(u+w) * h
				difference += math.Abs(u-w) * h
			}
			all[p.width+i].r += sum
			all[p.width+len(k)+i].r += difference
		}
	}
}

// propagate adds rows from … to of a node's coefficients, times the node's linear function, to those of its operands.
func (p *pass) propagate(id int, v *node, from, to int) {
	coef := p.coef[id].Host()
	begin, end := from*p.width*v.cols, to*p.width*v.cols
	rows := p.b.net.nodes[v.args[0]].rows
	switch v.kind {
	case conv, depthwise:
		first, last := max(0, from*v.stride-v.before), min(rows, (to-1)*v.stride-v.before+v.kernel)
		p.open(v.args[0], first, max(first, last))
		for k := range v.kernel {
			p.tap(id, v, k, from, to, rows)
		}
	case mean:
		x, share := p.open(v.args[0], 0, rows), 1/float32(rows)
		for r := range rows {
			to := x[r*end : (r+1)*end]
			for i, a := range coef[:end] {
				to[i] += share * a
			}
		}
	case sum:
		for _, arg := range v.args {
			x := p.open(arg, from, to)[begin:end]
			for i, a := range coef[begin:end] {
				x[i] += a
			}
		}
	default:
		for i, arg := range v.args {
			t := &p.b.terms[id]
			slope := t.slopes[i]
			x := p.open(arg, from, to)
			for r := from; r < to; r++ {
				s := slope[r*v.cols:][:v.cols]
				low := s
				if p.adaptive && v.kind == rectifier {
					low = t.lower[r*v.cols:][:v.cols]
				}
				for o := range p.width {
					at := (r*p.width + o) * v.cols
					from, to := coef[at:at+v.cols], x[at:at+v.cols]
					for j, a := range from {
						if a > 0 {
							to[j] += a * low[j]
						} else {
							to[j] += a * s[j]
						}
					}
				}
			}
		}
	}
}

// tap adds what a convolution's tap k reads.
func (p *pass) tap(id int, v *node, k, from, to, rows int) {
	// Row r reads row r·stride − before + k, which lies in 0 … rows.
	from = max(from, device.CeilDiv(max(0, v.before-k), v.stride))
	to = min(to, (rows-1+v.before-k)/v.stride+1)
	if rows-1+v.before-k < 0 || from >= to {
		return
	}
	first := from*v.stride - v.before + k
	if v.kind == depthwise {
		w, coef, x := v.taps32[k], p.coef[id].Host(), p.coef[v.args[0]].Host()
		for r := from; r < to; r++ {
			for o := range p.width {
				a := coef[(r*p.width+o)*v.cols:][:v.cols]
				y := x[((first+(r-from)*v.stride)*p.width+o)*v.cols:][:v.cols]
				for j, a := range a {
					y[j] += a * w[j]
				}
			}
		}
		return
	}
	groups := device.View{Groups: to - from, Rows: p.width}
	dst, a := groups, groups
	a.Cols, a.RowStride, a.GroupStride = v.cols, v.cols, p.width*v.cols
	dst.Cols, dst.RowStride, dst.GroupStride = v.in, v.in, v.stride*p.width*v.in
	if v.stride == 1 {
		a.Groups, a.Rows, dst.Groups, dst.Rows = 1, a.Groups*a.Rows, 1, a.Groups*a.Rows
	}
	whole, operand := p.coef[id], p.coef[v.args[0]]
	a.Data = whole.Slice(from*p.width*v.cols, whole.Len())
	dst.Data = operand.Slice(first*p.width*v.in, operand.Len())
	p.b.net.dev.MatMul(dst, a, v.packed[k], device.Epilogue{Accumulate: true})
}

// each calls work with batches of 0 up to n, at most size at a time, on all processors, each with a pass of its own.
func (b *Bounds) each(n, size int, work func(p *pass, first, count int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	batches := device.CeilDiv(n, size)
	for range min(batches, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			p, _ := b.passes.Get().(*pass)
			if p == nil {
				p = newPass(b)
			}
			defer b.passes.Put(p)
			for i := int(next.Add(1)) - 1; i < batches; i = int(next.Add(1)) - 1 {
				work(p, i*size, min(size, n-i*size))
			}
		})
	}
	group.Wait()
}

// parallel calls work for 0 up to n on all processors.
func parallel(n int, work func(i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				work(i)
			}
		})
	}
	group.Wait()
}
