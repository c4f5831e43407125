package program

import (
	"fmt"
	"os"
	"syscall"
)

// minAddressSpace is how many bytes of address space threads, models and sound may need besides what the runtime has
// reserved when the program begins. Where there is less, the runtime ends with a dump of all goroutines.
const minAddressSpace = 384 << 20

// checkAddressSpace returns an error where ulimit -v leaves too little address space. Below some 700 MiB the runtime
// itself cannot begin, which no program can mend.
func checkAddressSpace() error {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_AS, &limit) != nil || limit.Cur == ^uint64(0) {
		return nil
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return nil
	}
	var pages uint64
	if n, err := fmt.Sscan(string(statm), &pages); n != 1 || err != nil {
		return nil
	}
	need := pages*uint64(os.Getpagesize()) + minAddressSpace
	if limit.Cur >= need {
		return nil
	}
	return fmt.Errorf("the limit of address space is %d MiB (ulimit -v), and at least %d MiB are needed, "+
		"most of which are reserved and never used: raise it, or limit the memory itself, as by a container or GOMEMLIMIT",
		limit.Cur>>20, need>>20)
}
