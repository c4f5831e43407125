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
	"slices"
	"sync"
)

// Digest returns the SHA-256, in hex, of the data folder: of what `sha256sum` prints for its clips, noise recordings
// and split lists, their paths below Dir (with slashes) sorted by bytes, followed by the files of Options.Noise, as
// noise/NAME, and those of Options.Extra, as extra/CLASS/NAME, in order. It does not depend on the other options. Files
// that may not be opened and dangling links, which training skips, count with "-" for their sum; any other failure
// is returned. It reads every file, on all cores.
func (s *Set) Digest() (string, error) {
	paths, names := make([]string, 0, len(s.files)+len(s.added)), slices.Clone(s.files)
	for _, name := range s.files {
		paths = append(paths, filepath.Join(s.Dir, filepath.FromSlash(name)))
	}
	for _, a := range s.added {
		paths, names = append(paths, a.path), append(names, a.name)
	}
	sums, errs := make([]string, len(paths)), make([]error, len(paths))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				sums[i], errs[i] = fileSum(paths[i])
			}
		})
	}
	for i := range paths {
		next <- i
	}
	close(next)
	workers.Wait()
	h := sha256.New()
	for i, name := range names {
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
