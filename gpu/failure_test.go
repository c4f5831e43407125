//go:build hostcuda && !cuda

package gpu

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
)

// broken is a driver that fails at a kernel, or has no more memory than so many bytes.
type broken struct {
	*hostDriver
	kernel string
	memory int
	closed bool
	held   map[uint64]int
}

var errBroken = errors.New("an illegal memory access")

func (b *broken) launch(kernel string, grid, block size, args []uint64) error {
	if kernel == b.kernel {
		return errBroken
	}
	return b.hostDriver.launch(kernel, grid, block, args)
}

func (b *broken) alloc(bytes int) (uint64, error) {
	if bytes > b.memory {
		return 0, errBroken
	}
	b.memory -= bytes
	addr, err := b.hostDriver.alloc(bytes)
	b.held[addr] = bytes
	return addr, err
}

func (b *broken) free(addr uint64) {
	b.memory += b.held[addr]
	delete(b.held, addr)
	b.hostDriver.free(addr)
}

func (b *broken) close() error {
	b.closed = true
	return nil
}

func breakAt(t *testing.T, kernel string, memory int) (*Device, *broken) {
	t.Helper()
	b := &broken{hostDriver: &hostDriver{}, kernel: kernel, memory: memory, held: map[uint64]int{}}
	d, err := newDevice(b, Float32)
	if err != nil {
		t.Fatal(err)
	}
	return d, b
}

// failure returns the error that f panics with.
func failure(t *testing.T, f func()) (failed *device.Fault) {
	t.Helper()
	defer func() {
		if err := device.Recovered(recover()); !errors.As(err, &failed) {
			t.Errorf("failed with %v", err)
		}
	}()
	f()
	return nil
}

func TestFailureNamesTheKernelAndStays(t *testing.T) {
	d, b := breakAt(t, "hadamard", 1<<30)
	v := device.Matrix(d.Alloc(64), 8, 8)
	first := failure(t, func() { d.Hadamard(v, v, v, false) })
	if first == nil || first.Kernel != "hadamard" || !errors.Is(first, errBroken) ||
		!strings.Contains(first.Error(), "hadamard: an illegal") {
		t.Errorf("the first failure is %v", first)
	}
	for _, f := range []func(){
		func() { d.Fill(v, 1) }, func() { d.Download(make([]float32, 64), v.Data) }, func() { d.Alloc(1) },
		func() { d.Moments(v.Data.Slice(0, 8), v.Data.Slice(8, 16), v, device.View{}) },
	} {
		if again := failure(t, f); again != first {
			t.Errorf("a later failure is %v", again)
		}
	}
	if err := d.Close(); err != nil || !b.closed || len(b.held) > 0 {
		t.Errorf("closing gives %v, %d allocations are left", err, len(b.held))
	}
}

func TestNoMoreMemory(t *testing.T) {
	d, _ := breakAt(t, "", 1<<20)
	err := failure(t, func() { d.Alloc(1 << 26) })
	if err == nil || !strings.Contains(err.Error(), "allocating 268435456 bytes") {
		t.Errorf("failed with %v", err)
	}
}

// Unused memory is returned to the driver before an allocation fails.
func TestUnusedMemoryIsReturned(t *testing.T) {
	d, b := breakAt(t, "", 100<<20)
	// In floats; each size is of another class or too large for two.
	for size := 10 << 20; size <= 20<<20; size += 1 << 20 {
		d.Free(d.Alloc(size))
	}
	if len(b.held) != 1 {
		t.Errorf("%d allocations are held", len(b.held))
	}
	used := d.Alloc(20 << 20)
	failure(t, func() { d.Alloc(6 << 20) })
	if b.held[used.Addr()] == 0 {
		t.Error("memory in use was returned")
	}
}

func TestPrecisionNeedsTensorCores(t *testing.T) {
	if _, err := newDevice(plain{&hostDriver{}}, TF32); !errors.Is(err, ErrUnavailable) {
		t.Errorf("tf32 without tensor cores gives %v", err)
	}
	for _, c := range []struct {
		d    driver
		want Precision
	}{{plain{&hostDriver{}}, Float32}, {&hostDriver{}, TF32}} {
		d, err := newDevice(c.d, "")
		if err != nil || d.Precision() != c.want {
			t.Errorf("without a precision: %v, %v; want %s", d, err, c.want)
		}
	}
}

// plain is a GPU without tensor cores.
type plain struct{ *hostDriver }

func (plain) tensorCores() bool { return false }

func TestHostRejectsBadLaunches(t *testing.T) {
	h := &hostDriver{}
	words := make([]uint64, 3)
	for problem, launch := range map[string]func() error{
		"no such kernel": func() error { return h.launch("nothing", size{1, 1, 1}, size{32, 1, 1}, words) },
		"another size":   func() error { return h.launch("ema_update", size{1, 1, 1}, size{32, 1, 1}, words) },
		"whole warps": func() error {
			return h.launch("ema_update", size{1, 1, 1}, size{33, 1, 1}, make([]uint64, 4))
		},
		"too large": func() error {
			return h.launch("ema_update", size{1, 1 << 17, 1}, size{32, 1, 1}, make([]uint64, 4))
		},
	} {
		if err := launch(); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v", problem, err)
		}
	}
}

func TestHostFindsMistakesInKernels(t *testing.T) {
	compiler := os.Getenv("CXX")
	if compiler == "" {
		compiler = "c++"
	}
	program := filepath.Join(t.TempDir(), "mistakes")
	compile := exec.Command(compiler, "-std=c++17", "-O1", "-o", program, "testdata/mistakes.cpp", "host_fibers.cpp")
	out, err := compile.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err = exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"none: nothing\n",
		"block barrier: some threads wait at a barrier that others do not reach\n",
		"warp barrier: some threads wait at a barrier that others do not reach\n",
		"past shared: it writes after the end of its shared memory\n",
		"much shared: it needs more than 49152 bytes of shared memory",
		"race: it depends on the order of threads\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}
