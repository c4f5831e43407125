//go:build cuda || hostcuda

package gpu

import (
	"math"

	"github.com/polyphon/polyphon/device"
)

// step starts an optimiser's kernel. Of the last factors, SGD has only the momentum.
func (g *gpu) step(kernel string, w, grad, m, v device.Buffer, rate, decay float32, factors ...float64) {
	a := newArgs().buffers(w, grad, m, v).ints(w.Len()).floats(float64(rate), float64(decay)).floats(factors...)
	g.launchThreads(kernel, w.Len(), a)
}

func (g *gpu) SGD(w, grad, m device.Buffer, rate, momentum, decay float32) {
	g.step("sgd", w, grad, m, device.Buffer{}, rate, decay, float64(momentum), 0, 0, 0, 0)
}

func (g *gpu) AdamW(w, grad, m, v device.Buffer, rate, beta1, beta2, eps, decay float32, step int) {
	b1, b2 := float64(beta1), float64(beta2)
	g.step("adamw", w, grad, m, v, rate, decay,
		b1, b2, 1-math.Pow(b1, float64(step)), 1-math.Pow(b2, float64(step)), float64(eps))
}

func (g *gpu) ClipNorm(grad, norm device.Buffer, limit float32) {
	grid, block := linear(max(grad.Len(), 1)) // the norm is written in any case
	runs := min(grid.x, maxRuns)
	a := newArgs().buffers(grad, norm).ints(grad.Len()).floats(float64(limit)).ints(runs)
	g.withScratch("clip_norm", 8*runs, func(partial uint64) error {
		a = append(a, partial)
		if err := g.start("square_runs", size{runs, 1, 1}, block, a); err != nil {
			return err
		}
		return g.start("clip_norm", grid, block, a)
	})
}

func (g *gpu) EMAUpdate(dst, src device.Buffer, t float32) {
	g.launchThreads("ema_update", dst.Len(), newArgs().buffers(dst, src).ints(dst.Len()).floats(float64(t)))
}
