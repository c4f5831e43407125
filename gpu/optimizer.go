//go:build cuda || hostcuda

package gpu

import (
	"math"

	"github.com/polyphon/polyphon/device"
)

type stepArgs struct {
	w, g, m, v                      uint64
	n                               int64
	rate, decay                     float64
	beta1, beta2, bias1, bias2, eps float64
}

func (g *gpu) SGD(w, grad, m device.Buffer, rate, momentum, decay float32) {
	grid, block := line(w.Len())
	launch(g, "sgd", grid, block, &stepArgs{
		w: w.Addr(), g: grad.Addr(), m: m.Addr(), n: int64(w.Len()),
		rate: float64(rate), decay: float64(decay), beta1: float64(momentum),
	})
}

func (g *gpu) AdamW(w, grad, m, v device.Buffer, rate, beta1, beta2, eps, decay float32, step int) {
	grid, block := line(w.Len())
	launch(g, "adamw", grid, block, &stepArgs{
		w: w.Addr(), g: grad.Addr(), m: m.Addr(), v: v.Addr(), n: int64(w.Len()),
		rate: float64(rate), decay: float64(decay), beta1: float64(beta1), beta2: float64(beta2), eps: float64(eps),
		bias1: 1 - math.Pow(float64(beta1), float64(step)), bias2: 1 - math.Pow(float64(beta2), float64(step)),
	})
}

type clipNormArgs struct {
	g, norm uint64
	n       int64
	limit   float64
	partial uint64
	runs    int64
}

func (g *gpu) ClipNorm(grad, norm device.Buffer, limit float32) {
	grid, block := line(grad.Len())
	grid.x = max(grid.x, 1) // the norm is written all the same
	runs := size{min(grid.x, mostRuns), 1, 1}
	g.enter()
	partial, err := g.heap.alloc(8 * runs.x)
	if err != nil {
		g.leave("clip_norm", err)
	}
	a := clipNormArgs{grad.Addr(), norm.Addr(), int64(grad.Len()), float64(limit), partial, int64(runs.x)}
	if err = start(g, "square_runs", runs, block, &a); err == nil {
		err = start(g, "clip_norm", grid, block, &a)
	}
	g.heap.free(partial)
	g.leave("clip_norm", err)
}

type lerpArgs struct {
	dst, src uint64
	n        int64
	t        float64
}

func (g *gpu) EMAUpdate(dst, src device.Buffer, t float32) {
	grid, block := line(dst.Len())
	launch(g, "lerp", grid, block, &lerpArgs{dst.Addr(), src.Addr(), int64(dst.Len()), float64(t)})
}
