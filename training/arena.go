package training

import "github.com/polyphon/polyphon/device"

// arena allocates device memory in a stack: what is allocated later is freed earlier. It keeps its chunks of memory,
// and reset merges them into one.
type arena struct {
	dev    device.Trainer
	chunks []device.Buffer
	next   mark // where the next allocation begins; setting it back frees what was allocated since
}

// mark is a position in an arena.
type mark struct{ chunk, used int }

const minChunk = 1 << 20 // values

// alloc returns n values of undefined content.
func (a *arena) alloc(n int) device.Buffer {
	size := device.AlignUp(n)
	for ; a.next.chunk < len(a.chunks); a.next = (mark{a.next.chunk + 1, 0}) {
		if chunk := a.chunks[a.next.chunk]; a.next.used+size <= chunk.Len() {
			b := chunk.Slice(a.next.used, a.next.used+n)
			a.next.used += size
			return b
		}
	}
	chunk := a.dev.Alloc(max(size, minChunk))
	a.chunks = append(a.chunks, chunk)
	a.next.used = size
	return chunk.Slice(0, n)
}

// reset frees everything. It reports whether the same sequence of allocations will have the same addresses as before.
func (a *arena) reset() (same bool) {
	same = len(a.chunks) <= 1
	if !same {
		total := 0
		for _, c := range a.chunks {
			total += c.Len()
		}
		a.close()
		a.chunks = append(a.chunks, a.dev.Alloc(total))
	}
	a.next = mark{}
	return same
}

// close gives all memory back to the device.
func (a *arena) close() {
	for _, c := range a.chunks {
		a.dev.Free(c)
	}
	a.chunks = a.chunks[:0]
	a.next = mark{}
}
