package datasets

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// Digest returns the SHA-256, in hex, of the data folder: of what `sha256sum` prints for its clips, noise recordings
// and split lists, their paths below Dir (with slashes) sorted by bytes. It does not depend on the options. Files that
// may not be opened and dangling links, which training skips, count with "-" for their sum; any other failure is
// returned. It reads every file, on all cores.
func (s *Set) Digest() (string, error) {
	sums := make([]string, len(s.files))
	errs := make([]error, len(s.files))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				sums[i], errs[i] = fileSum(filepath.Join(s.Dir, filepath.FromSlash(s.files[i])))
			}
		})
	}
	for i := range s.files {
		next <- i
	}
	close(next)
	workers.Wait()
	h := sha256.New()
	for i, name := range s.files {
		if errs[i] != nil {
			return "", errs[i]
		}
		fmt.Fprintf(h, "%s  %s\n", sums[i], name)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

func fileSum(file string) (string, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "-", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
