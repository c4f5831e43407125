package polynet

import "github.com/polyphon/polyphon/device"

// arena hands out device memory front to back. Its chunks are kept and, once a step has shown how much it needs, merged
// into one.
type arena struct {
	dev    device.Trainer
	chunks []device.Buffer
	at     mark
}

// mark is a place in an arena: everything behind it is free.
type mark struct{ chunk, used int }

const (
	arenaChunk = 1 << 20 // least values in a chunk
	arenaAlign = 16      // values; a cache line
)

// alloc returns n values of undefined content.
func (a *arena) alloc(n int) device.Buffer {
	size := alignUp(n)
	for ; a.at.chunk < len(a.chunks); a.at = (mark{a.at.chunk + 1, 0}) {
		if chunk := a.chunks[a.at.chunk]; a.at.used+size <= chunk.Len() {
			b := chunk.Slice(a.at.used, a.at.used+n)
			a.at.used += size
			return b
		}
	}
	chunk := a.dev.Alloc(max(size, arenaChunk))
	a.chunks = append(a.chunks, chunk)
	a.at.used = size
	return chunk.Slice(0, n)
}

// rewind frees everything given out since m was a.at.
func (a *arena) rewind(m mark) { a.at = m }

// reset frees everything given out. It reports whether what will be given out in the same order lies where it lay before.
func (a *arena) reset() (same bool) {
	same = len(a.chunks) <= 1
	if !same {
		total := 0
		for _, c := range a.chunks {
			total += c.Len()
		}
		a.free()
		a.chunks = append(a.chunks, a.dev.Alloc(total))
	}
	a.at = mark{}
	return same
}

// free gives all memory back to the device.
func (a *arena) free() {
	for _, c := range a.chunks {
		a.dev.Free(c)
	}
	a.chunks = a.chunks[:0]
	a.at = mark{}
}

// alignUp rounds n up to whole cache lines.
func alignUp(n int) int { return ceilDiv(n, arenaAlign) * arenaAlign }
