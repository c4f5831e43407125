package training

import (
	"fmt"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// benchFrames is the length of a clip of one second.
const benchFrames = 101

// benchNets are `pi` networks of about 0.28, 0.39 and 1.1 million parameters.
func benchNets() []polynet.Config {
	var nets []polynet.Config
	for _, widths := range [][]int{{24, 32, 48, 64}, {32, 40, 56, 72}, {48, 64, 96, 128}} {
		c := polynet.Config{
			Inputs: 40, Classes: 19, Block: polynet.Pi, Dropout: 0.1,
			Stem: polynet.Stem{Width: widths[0], Kernel: 5, Ahead: 2, Stride: 1},
		}
		for i, width := range widths {
			c.Stages = append(c.Stages, polynet.Stage{Width: width, Blocks: 2, Kernel: 9, Ahead: 4, Stride: min(2, i+1)})
		}
		nets = append(nets, c)
	}
	return nets
}

func benchDevice(b *testing.B, threads int) device.Trainer {
	b.Helper()
	d, err := device.CPU(threads)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// reportClips reports the rates at which b's iterations, of so many clips and so many FLOPs a clip, run. FLOPs are
// those of direct products, whatever the device does instead.
func reportClips(b *testing.B, clips int, flops int64) {
	b.ReportMetric(float64(flops)*float64(clips*b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	b.ReportMetric(float64(b.N*clips)/b.Elapsed().Seconds(), "clips/s")
}

// BenchmarkStep times training steps of 100 clips.
func BenchmarkStep(b *testing.B) {
	const batch = 100
	for _, c := range benchNets() {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%dk/threads%d", c.Program().Parameters()/1000, threads), func(b *testing.B) {
				n, err := NewNetwork(c, benchDevice(b, threads), nettest.Rand(1))
				if err != nil {
					b.Fatal(err)
				}
				p := NewPass(n, nettest.Rand(2))
				p.Train = true
				o := NewSGD(n, 0.9, 5e-4)
				rows, labels := nettest.Normals(nettest.Rand(3), batch*benchFrames*c.Inputs), make([]int, batch)
				for step := 1; b.Loop(); step++ {
					trainStep(n, p, o, 0.01, step, rows, labels, benchFrames)
				}
				// Forward, weight gradient and input gradient: three times the products.
				reportClips(b, batch, 3*2*c.Program().MACs(benchFrames))
			})
		}
	}
}
