package main

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/records"
)

// index says of which inputs, as they were, the result files of a folder have been written. Formats have no place for
// that. Each run appends a line to a file of its shard after each result file, and reads the files of all shards first.
// A line that is lost, or torn, costs nothing but doing its input again.
type index struct {
	path    string       // of the shard's file
	written []indexEntry // when the run began, in order, each key once

	mu   sync.Mutex
	file *os.File // nil: not yet opened
}

// indexEntry is 16 bytes for each result file: a folder may have millions.
type indexEntry struct {
	key   uint64 // digest of the input's path below what was given, and the format
	stamp uint32 // digest of the input's size and time of modification, and the version of the format
	time  uint32 // in Unix seconds, when the result file was written
}

const (
	indexName = ".polyphon-index"
	indexLine = "%016x %08x %08x\n"
	lineBytes = 16 + 1 + 8 + 1 + 8

	// outdatedLines is how many lines that no longer count are kept, besides as many as there are others.
	outdatedLines = 4096
)

// openIndex reads the files of dir.
func openIndex(dir string, share shard) (*index, error) {
	x := &index{path: filepath.Join(dir, indexName)}
	if share.count > 1 {
		x.path += fmt.Sprintf("-%d-of-%d", share.index, share.count)
	}
	folder, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return x, nil
	}
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	for err == nil {
		var entries []fs.DirEntry
		entries, err = folder.ReadDir(1024) // not all at once: a folder may have millions
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), indexName) && e.Type().IsRegular() {
				if err := x.load(filepath.Join(dir, e.Name())); err != nil {
					return nil, err
				}
			}
		}
	}
	x.written = latest(x.written)
	if err != io.EOF {
		return nil, err
	}
	return x, nil
}

// load reads a file, and writes it anew where it is the shard's own and most of it is outdated.
func (x *index) load(path string) error {
	list, err := readIndex(path)
	if err != nil {
		return err
	}
	lines := len(list)
	list = latest(list)
	x.written = append(x.written, list...)
	if path != x.path || lines <= 2*len(list)+outdatedLines {
		return nil
	}
	return writeIndex(path, list)
}

// readIndex returns the entries of a file, in its order.
func readIndex(path string) (list []indexEntry, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		list = make([]indexEntry, 0, info.Size()/(lineBytes+1))
	}
	in := bufio.NewReader(f)
	for whole := true; ; {
		line, more, err := in.ReadLine()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		if e, ok := parseEntry(string(line)); ok && whole && !more {
			list = append(list, e)
		}
		whole = !more // else what follows is the rest of a line that is no line of ours
	}
}

func parseEntry(line string) (e indexEntry, ok bool) {
	if len(line) != lineBytes {
		return e, false
	}
	number := func(text string, bits int) uint64 {
		v, err := strconv.ParseUint(text, 16, bits)
		ok = ok && err == nil
		return v
	}
	ok = true
	e.key, e.stamp, e.time = number(line[:16], 64), uint32(number(line[17:25], 32)), uint32(number(line[26:], 32))
	return e, ok
}

func writeIndex(path string, list []indexEntry) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		out := bufio.NewWriter(w)
		for _, e := range list {
			fmt.Fprintf(out, indexLine, e.key, e.stamp, e.time)
		}
		return out.Flush()
	})
}

// latest sorts entries by their keys and leaves one for each: the one with the latest time, the last of several.
func latest(list []indexEntry) []indexEntry {
	slices.SortStableFunc(list, func(a, b indexEntry) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(b.time, a.time)) // the latest first
	})
	kept := list[:0]
	for _, e := range list {
		switch n := len(kept); {
		case n == 0 || kept[n-1].key != e.key:
			kept = append(kept, e)
		case kept[n-1].time == e.time:
			kept[n-1] = e
		}
	}
	return kept
}

// indexKey is that of an input's result file with the extension.
func indexKey(rel, extension string) uint64 {
	digest := sha256.Sum256([]byte(rel + "\x00" + extension))
	return binary.BigEndian.Uint64(digest[:])
}

// stamp is a digest of what tells an input from another one that has taken its place.
func stamp(info fs.FileInfo) uint32 {
	digest := sha256.Sum256(fmt.Append(nil, records.Spec, info.Size(), info.ModTime().UnixNano()))
	return binary.BigEndian.Uint32(digest[:])
}

// find returns the entry of a key when the run began; the zero value where there is none.
func (x *index) find(key uint64) indexEntry {
	i, found := slices.BinarySearchFunc(x.written, key, func(e indexEntry, key uint64) int {
		return cmp.Compare(e.key, key)
	})
	if !found {
		return indexEntry{}
	}
	return x.written[i]
}

// has reports whether the result file of the key was written from an input with the stamp, when the run began.
func (x *index) has(key uint64, stamp uint32) bool {
	e := x.find(key)
	return e.time > 0 && e.stamp == stamp
}

// add notes that a result file is written.
func (x *index) add(key uint64, stamp uint32) error {
	at := max(uint32(time.Now().Unix()), x.find(key).time+1) // clocks of machines differ
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.open(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(x.file, indexLine, key, stamp, at) // in one write: others append, too
	return err
}

// open opens the file.
func (x *index) open() (err error) {
	if x.file == nil {
		x.file, err = atomicfile.Append(x.path)
	}
	return err
}

// close closes the file.
func (x *index) close() error {
	if x.file == nil {
		return nil
	}
	return x.file.Close()
}
