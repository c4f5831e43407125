package main

import (
	"context"
	"fmt"
	"hash/maphash"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/safe"
)

// input is a sound to classify, or what is wrong with a path that was given.
type input struct {
	name string
	rel  string // the path below the folder that was given, or the file's base name; with slashes on every system
	err  error

	stamp uint32 // with result files: what it was when the work on it began
}

var errNoSounds = fmt.Errorf("no sound files (%s) in this folder", strings.Join(audio.Extensions(), ", "))

// listing is the inputs of a shard at paths. Its inputs are found anew whenever they are needed, not held in memory.
type listing struct {
	paths  []string
	share  shard
	sorter *sorter // what it has sorted is no input
}

// all yields the inputs at the paths, of whatever shard: folders by the sound files in them, all else as it is given.
func (l listing) all(yield func(input) bool) {
	for _, path := range l.paths {
		in, folder := input{name: path, rel: filepath.Base(path)}, false
		if path != stdinName {
			var info fs.FileInfo
			info, in.err = os.Stat(path)
			folder = in.err == nil && info.IsDir()
		}
		if folder {
			in.err = errNoSounds
			for f, err := range audio.Files(path) {
				if l.sorter.holds(path, f.Rel) {
					continue
				}
				if in.err = nil; !yield(input{name: f.Path, rel: f.Rel, err: err}) {
					return
				}
			}
		}
		if (!folder || in.err != nil) && !yield(in) {
			return
		}
	}
}

// shared yields the inputs of the shard, until ctx ends.
func (l listing) shared(ctx context.Context) iter.Seq[input] {
	return func(yield func(input) bool) {
		for in := range l.all {
			if ctx.Err() != nil || l.share.holds(in) && !yield(in) {
				return
			}
		}
	}
}

// survey is what is known of inputs before the work begins.
type survey struct {
	inputs    int // of the shard
	nameWidth int // of the longest of their names, in characters
}

// nameWidth returns how many characters an input's name has on a terminal.
func nameWidth(in input) int { return utf8.RuneCountInString(safe.Text(in.name)) }

// survey counts the inputs. With result files, its error names inputs of any shards that would have the same one.
func (l listing) survey(ctx context.Context, out *results) (s survey, err error) {
	names := nameSet{seed: maphash.MakeSeed()}
	for in := range l.all {
		if ctx.Err() != nil {
			return s, ctx.Err()
		}
		if l.share.holds(in) {
			s.inputs++
			s.nameWidth = max(s.nameWidth, nameWidth(in))
		}
		if out == nil || in.err != nil {
			continue
		}
		if out.path(in) == filepath.Join(out.dir, out.list) {
			return s, fmt.Errorf("%s would have its results in %s, where the failures are listed",
				in.name, out.path(in))
		}
		if len(l.paths) > 1 { // below a single one, paths differ
			names.add(in.rel)
		}
	}
	twice := names.twice()
	if len(twice) == 0 {
		return s, nil
	}
	first := map[string]string{} // names of the inputs by the paths below what was given
	for in := range l.all {
		if in.err != nil || !twice[names.hash(in.rel)] {
			continue
		}
		if other, taken := first[in.rel]; taken {
			return s, fmt.Errorf("%s and %s would both have their results in %s; "+
				"give the folder above them, or each folder of results its own --out", other, in.name, out.path(in))
		}
		first[in.rel] = in.name
	}
	return s, nil
}

// nameSet finds names that were added twice, in 8 bytes a name, and with them a few others by chance.
type nameSet struct {
	seed   maphash.Seed
	hashes []uint64
}

func (n *nameSet) hash(name string) uint64 { return maphash.String(n.seed, name) }

func (n *nameSet) add(name string) { n.hashes = append(n.hashes, n.hash(name)) }

// twice returns the hashes that were added more than once.
func (n *nameSet) twice() map[uint64]bool {
	slices.Sort(n.hashes)
	found := map[uint64]bool{}
	for i := 1; i < len(n.hashes); i++ {
		if n.hashes[i] == n.hashes[i-1] {
			found[n.hashes[i]] = true
		}
	}
	return found
}
