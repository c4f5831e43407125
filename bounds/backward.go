package bounds

import (
	"runtime"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/floats"
)

// objective is a linear function of one node's values that a pass bounds: entries with factors.
type objective struct {
	node    int
	entries []int
	factors []float64
}

// pass substitutes an objective backwards. It is used by one goroutine at a time.
type pass struct {
	b     *Bounds
	lanes []*lane // of the two operands of a product, or one
	// adaptive takes of each ReLU the lower line that suits it where a lower bound is asked for (CROWN): line.hi is then
	// meaningless. Otherwise lower and upper lines are parallel and both bounds come of one substitution.
	adaptive bool
}

// lane has an objective's factors of the values of each node, in the rows from … to that are not 0.
type lane struct {
	coef     [][]float64
	from, to []int
}

func newPass(b *Bounds, lanes int) *pass {
	p := &pass{b: b}
	for range lanes {
		n := len(b.net.nodes)
		p.lanes = append(p.lanes, &lane{make([][]float64, n), make([]int, n), make([]int, n)})
	}
	return p
}

// open makes rows from … to of a node's factors usable and returns the factors of the node's whole tensor.
func (l *lane) open(id int, v *node, from, to int) []float64 {
	if l.coef[id] == nil {
		l.coef[id] = make([]float64, v.rows*v.cols)
	}
	c := l.coef[id]
	if l.from[id] >= l.to[id] {
		clear(c[from*v.cols : to*v.cols])
		l.from[id], l.to[id] = from, to
		return c
	}
	if from < l.from[id] {
		clear(c[from*v.cols : l.from[id]*v.cols])
		l.from[id] = from
	}
	if to > l.to[id] {
		clear(c[l.to[id]*v.cols : to*v.cols])
		l.to[id] = to
	}
	return c
}

// run bounds one objective a lane. A node of a level of at most stop is replaced by its Form, as the input is. With two
// lanes, combine has two factors k and the third and fourth line are those of x/k + k·y and x/k − k·y.
func (p *pass) run(objectives []objective, stop int, k float64) []line {
	lines := make([]line, len(p.lanes), 4)
	if len(p.lanes) == 2 {
		lines = lines[:4]
	}
	top := 0
	for i, o := range objectives {
		v := &p.b.net.nodes[o.node]
		for j, e := range o.entries {
			row := e / v.cols
			p.lanes[i].open(o.node, v, row, row+1)[e] += o.factors[j]
		}
		top = max(top, o.node)
	}
	for id := top; id >= 0; id-- {
		v := &p.b.net.nodes[id]
		from, to := v.rows, 0
		for _, l := range p.lanes {
			if l.from[id] < l.to[id] {
				from, to = min(from, l.from[id]), max(to, l.to[id])
			}
		}
		if from >= to {
			continue
		}
		for _, l := range p.lanes {
			l.open(id, v, from, to)
		}
		leaf := v.kind == input || v.level <= stop
		if leaf || v.nonlinear() {
			for i := from * v.cols; i < to*v.cols; i++ {
				p.constant(id, v, i, leaf, lines, k)
			}
		}
		for i, l := range p.lanes {
			if !leaf {
				p.propagate(l, id, v, from, to, &lines[i])
			}
			l.from[id], l.to[id] = 0, 0
		}
	}
	return lines
}

// constant adds what is constant about entry i of a node to the lines.
func (p *pass) constant(id int, v *node, i int, leaf bool, lines []line, k float64) {
	var at line
	if leaf {
		at = p.b.forms[id].line(i)
	} else {
		at.lo, at.hi = p.b.relaxed[id].low[i], p.b.relaxed[id].high[i]
	}
	single := func(l *line, a float64) {
		if a == 0 {
			return
		}
		l.c += a * at.c
		l.s += a * at.s
		if p.adaptive && v.kind == rectifier && !leaf && a > 0 {
			return // slope·x below it, without a constant
		}
		l.add(a, at.lo, at.hi)
	}
	x := p.lanes[0].coef[id][i]
	single(&lines[0], x)
	if len(p.lanes) == 2 {
		y := p.lanes[1].coef[id][i]
		single(&lines[1], y)
		single(&lines[2], x/k+k*y)
		single(&lines[3], x/k-k*y)
	}
}

// propagate adds rows from … to of a node's factors, times the node's linear function, to those of its operands.
func (p *pass) propagate(l *lane, id int, v *node, from, to int, constant *line) {
	coef := l.coef[id]
	operand := func(i, from, to int) []float64 { return l.open(v.args[i], &p.b.net.nodes[v.args[i]], from, to) }
	begin, end := from*v.cols, to*v.cols
	switch v.kind {
	case conv, depthwise:
		rows := p.b.net.nodes[v.args[0]].rows
		first, last := max(0, from*v.stride-v.before), min(rows, (to-1)*v.stride-v.before+v.kernel)
		x := operand(0, first, max(first, last))
		for r := from; r < to; r++ {
			v.transposed(x, coef[r*v.cols:(r+1)*v.cols], r, rows, constant)
		}
	case mean:
		rows := p.b.net.nodes[v.args[0]].rows
		x := operand(0, 0, rows)
		for r := range rows {
			floats.AddScaled(x[r*v.cols:(r+1)*v.cols], 1/float64(rows), coef[:v.cols])
		}
	case sum:
		for i := range v.args {
			floats.Add(operand(i, from, to)[begin:end], coef[begin:end])
		}
	default:
		p.throughNonlinear(id, v, coef, operand(0, from, to), begin, end)
		if v.kind == product {
			y := operand(1, from, to)
			for i := begin; i < end; i++ {
				y[i] += coef[i] * p.b.relaxed[id].slopeY[i]
			}
		}
	}
}

func (p *pass) throughNonlinear(id int, v *node, coef, x []float64, begin, end int) {
	slope := p.b.relaxed[id].slopeX
	if !p.adaptive || v.kind != rectifier {
		for i := begin; i < end; i++ {
			x[i] += coef[i] * slope[i]
		}
		return
	}
	lower := p.b.relaxed[id].lower
	for i := begin; i < end; i++ {
		if a := coef[i]; a > 0 {
			x[i] += a * lower[i]
		} else {
			x[i] += a * slope[i]
		}
	}
}

// transposed adds the factors of a convolution's row r, times the weights, to those of x, and times the bias to the
// constant.
func (v *node) transposed(x, coef []float64, r, rows int, constant *line) {
	k0, k1, first := v.taps(r, rows)
	for c, a := range coef {
		if a == 0 {
			continue
		}
		if v.bias != nil {
			constant.c += a * v.bias[c]
		}
		if v.kind == depthwise {
			for k := k0; k < k1; k++ {
				x[(first+k-k0)*v.cols+c] += a * v.weight[k*v.cols+c]
			}
			continue
		}
		w := v.weight[(c*v.kernel+k0)*v.in : (c*v.kernel+k1)*v.in]
		floats.AddScaled(x[first*v.in:first*v.in+len(w)], a, w)
	}
}

// each calls work for 0 up to n on all processors, each with a pass of its own.
func (b *Bounds) each(n, lanes int, work func(p *pass, i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			p := newPass(b, lanes)
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				work(p, i)
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
