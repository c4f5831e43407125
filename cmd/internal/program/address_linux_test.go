package program

import (
	"strings"
	"syscall"
	"testing"
)

func TestCheckAddressSpace(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_AS, &before); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_AS, &before)
	for _, c := range []struct {
		limit uint64
		says  string
	}{
		{before.Cur, ""},
		{1 << 40, ""},
		{minAddressSpace, "the limit of address space is 384 MiB (ulimit -v), and at least "},
		{1 << 20, "the limit of address space is 1 MiB (ulimit -v), and at least "},
	} {
		if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: c.limit, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
		err := checkAddressSpace()
		syscall.Setrlimit(syscall.RLIMIT_AS, &before)
		if (err == nil) != (c.says == "") || err != nil && !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("limit %d: %v, want %q", c.limit, err, c.says)
		}
	}
}
