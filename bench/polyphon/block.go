package main

import (
	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/device"
)

// blockArgs describes a `pi` block without a convolution on its skip, over clips that lie as in a network: pad zero
// rows before each and after the last. Its convolutions are centred, of 2·pad + 1 rows.
type blockArgs struct {
	X      string `json:"x"`     // file: the clips with their padding
	W1     string `json:"w1"`    // file: (2·pad+1, width, width)
	W2     string `json:"w2"`    // ditto
	Norms  string `json:"norms"` // file: scale and shift of the first, second and product's norm, width values each
	Clips  int    `json:"clips"`
	Frames int    `json:"frames"`
	Width  int    `json:"width"`
	Pad    int    `json:"pad"`
	Fused  bool   `json:"fused"`
	Direct bool   `json:"direct"` // products without minimal filtering
}

// clips are (Clips, Frames, Width) in memory, with the padding around them.
type clips struct {
	blockArgs
	memory device.Buffer
}

func (c clips) rows() device.View {
	return device.View{
		Data: c.memory.Slice(c.Pad*c.Width, c.memory.Len()), Groups: c.Clips, Rows: c.Frames, Cols: c.Width,
		GroupStride: (c.Frames + c.Pad) * c.Width, RowStride: c.Width,
	}
}

// windows are the overlapping rows that a convolution multiplies.
func (c clips) windows() device.View {
	v := c.rows()
	v.Data, v.Cols = c.memory, (2*c.Pad+1)*c.Width
	return v
}

// block is a block's weights, norms and memory, on one thread.
type block struct {
	blockArgs
	d                          device.Trainer
	weight1, weight2           *device.Packed // see pack
	scale1, shift1             device.Buffer
	scale2, shift2             device.Buffer
	productScale, productShift device.Buffer
	x, y, hidden, f, z         clips
}

func newBlock(a blockArgs) *block {
	d := serve.Must(device.CPU(1))
	norms := read(a.Norms)
	x := upload(d, read(a.X))
	size := (a.Pad + a.Clips*(a.Frames+a.Pad)) * a.Width
	if len(norms) != 6*a.Width || x.Len() != size {
		serve.Fail("%d values of norms and %d of clips for %+v", len(norms), x.Len(), a)
	}
	b := &block{blockArgs: a, d: d, x: clips{a, x}}
	for i, v := range []*device.Buffer{&b.scale1, &b.shift1, &b.scale2, &b.shift2, &b.productScale, &b.productShift} {
		*v = upload(d, norms[i*a.Width:(i+1)*a.Width])
	}
	for _, c := range []*clips{&b.y, &b.hidden, &b.f, &b.z} {
		*c = clips{a, d.Alloc(size)}
	}
	return b
}

// pack returns the weights in the file at path, times the norm's scale where the block is fused.
func (b *block) pack(path string, scale device.Buffer) *device.Packed {
	w := read(path)
	for i := range w {
		if b.Fused {
			w[i] *= scale.Host()[i%b.Width]
		}
	}
	packed, windows := new(device.Packed), b.x.windows()
	if b.Direct {
		b.d.Pack(packed, upload(b.d, w), windows.Cols, b.Width)
	} else {
		b.d.PackWindows(packed, upload(b.d, w), b.Width, windows)
	}
	return packed
}

// runFused computes the block as a compiled inference.Plan does: two products, and everything else in their epilogues.
func (b *block) runFused() {
	b.d.MatMul(b.hidden.rows(), b.x.windows(), b.weight1, device.Epilogue{Shift: b.shift1})
	b.d.MatMul(b.y.rows(), b.hidden.windows(), b.weight2, device.Epilogue{
		Shift: b.shift2, Skip: b.x.rows(), Scale: b.productScale, Offset: b.productShift,
	})
}

// runUnfused computes it one operation at a time, as a program of a library's operations does.
func (b *block) runUnfused() {
	b.d.MatMul(b.hidden.rows(), b.x.windows(), b.weight1, device.Epilogue{})
	b.norm(b.hidden, b.scale1, b.shift1)
	b.d.MatMul(b.f.rows(), b.hidden.windows(), b.weight2, device.Epilogue{})
	b.norm(b.f, b.scale2, b.shift2)
	b.joinUnfused()
}

// joinFused computes y = f + x + norm(f∘x) in one pass.
func (b *block) joinFused() {
	b.d.HadamardSum(b.y.rows(), b.f.rows(), b.x.rows(), b.productScale, b.productShift)
}

// joinUnfused computes the same in four.
func (b *block) joinUnfused() {
	b.d.Hadamard(b.z.rows(), b.f.rows(), b.x.rows(), false)
	b.norm(b.z, b.productScale, b.productShift)
	b.sum(b.y, b.f, b.x)
	b.sum(b.y, b.y, b.z)
}

func (b *block) norm(c clips, scale, shift device.Buffer) {
	b.d.Affine(c.rows(), c.rows(), device.View{}, scale, device.Buffer{}, shift, false)
}

func (b *block) sum(dst, x, y clips) {
	b.d.Affine(dst.rows(), x.rows(), y.rows(), device.Buffer{}, device.Buffer{}, device.Buffer{}, false)
}

// result returns y without its padding.
func (b *block) result() []float32 {
	var rows []float32
	v := b.y.rows()
	for g := range v.Groups {
		rows = append(rows, v.Data.Host()[g*v.GroupStride:][:v.Rows*v.Cols]...)
	}
	return rows
}

// prepareBlock runs the whole block.
func prepareBlock(a blockArgs) *serve.Case {
	b := newBlock(a)
	b.weight1, b.weight2 = b.pack(b.W1, b.scale1), b.pack(b.W2, b.scale2)
	run := b.runUnfused
	if a.Fused {
		run = b.runFused
	}
	return &serve.Case{Run: run, Result: b.result}
}

// prepareElementwise runs what follows the block's second norm, with the clips as both operands.
func prepareElementwise(a blockArgs) *serve.Case {
	b := newBlock(a)
	b.d.Upload(b.f.memory, b.x.memory.Host())
	run := b.joinUnfused
	if a.Fused {
		run = b.joinFused
	}
	return &serve.Case{Run: run, Result: b.result}
}
