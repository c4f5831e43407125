package audio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	slashpath "path"
	"path/filepath"
	"slices"
	"strings"
)

// File is a sound file that Files found, or the file or folder that an error of Files is about.
type File struct {
	Path string // to open
	Rel  string // below the root, with slashes on every system; the base name where the root is no folder
}

// Files yields the sound files in and below root, sorted by the components of their paths.
//
// A root that is a regular file yields itself, whatever its name. In folders, it yields the regular files whose names
// IsAudio accepts. Links are followed, and each real folder is entered once, by its own path where it lies below the
// root, so links in circles do no harm. Entries that Skipped names are left out, and so are pipes, sockets and devices,
// which are never opened.
//
// An error comes with the File that it is about, whose path it names: a root that does not exist or is neither a file
// nor a folder, a folder that cannot be read, a link with a sound file's name that leads nowhere. The walk then goes
// on. It holds names of one folder per level in memory, in little more space than their bytes, and reads a folder of
// more than 65,536 names several times instead of holding them all.
func Files(root string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		f := File{root, filepath.Base(root)}
		info, err := os.Stat(root)
		switch {
		case err != nil:
			yield(f, err)
		case info.Mode().IsRegular():
			yield(f, nil)
		case !info.IsDir():
			yield(f, fmt.Errorf("%w: %s is neither a file nor a folder", ErrFormat, root))
		default:
			target, err := filepath.Abs(root) // comparable with the targets of links
			if err == nil {
				target, err = filepath.EvalSymlinks(target)
			}
			if err != nil {
				yield(f, err)
				return
			}
			w := walker{roots: map[string]bool{target: true}, yield: yield, most: mostNames}
			w.enter(File{Path: root}, target)
		}
	}
}

// walker is the state of one walk. Its methods return false once the consumer has had enough.
type walker struct {
	roots map[string]bool // real paths of the root and of each folder that a link led to
	yield func(File, error) bool
	most  int // names held of a folder
}

// enter walks a folder, whose real path is target.
func (w *walker) enter(folder File, target string) bool {
	list := folderList{most: w.most}
	for {
		err := list.read(folder.Path)
		if err != nil && !w.yield(folder, err) || !w.entries(folder, target, &list) {
			return false
		}
		if err != nil || list.last == nil {
			return true
		}
	}
}

// entries yields what is in a folder, as far as the list goes.
func (w *walker) entries(folder File, target string, list *folderList) bool {
	for _, e := range list.entries {
		name, kind := list.at(e)
		f := File{filepath.Join(folder.Path, name), slashpath.Join(folder.Rel, name)}
		more := true
		switch kind {
		case soundEntry:
			more = w.yield(f, nil)
		case folderEntry:
			if below := filepath.Join(target, name); !w.roots[below] {
				more = w.enter(f, below)
			}
		case linkEntry:
			more = w.follow(f, filepath.Join(target, name))
		}
		if !more {
			return false
		}
	}
	return true
}

// follow yields what a link leads to. real is the link's real path.
func (w *walker) follow(f File, real string) bool {
	info, err := os.Stat(f.Path)
	if err == nil && info.IsDir() {
		if real, err = filepath.EvalSymlinks(real); err == nil {
			if w.visits(real) {
				return true
			}
			w.roots[real] = true
			return w.enter(f, real)
		}
	}
	switch matters := IsAudio(f.Path); {
	case err != nil:
		return !matters && !errors.Is(err, fs.ErrPermission) || w.yield(f, err)
	case matters && info.Mode().IsRegular():
		return w.yield(f, nil)
	}
	return true
}

// visits reports whether the walk comes to the folder of a real path without another link.
func (w *walker) visits(folder string) bool {
	for !w.roots[folder] {
		parent, name := filepath.Split(folder)
		parent = filepath.Clean(parent)
		if parent == folder || Skipped(name) {
			return false
		}
		folder = parent
	}
	return true
}

// Skipped reports whether entries of that name are left out of folders: hidden ones (".git", the "._x.wav" of macOS),
// and what systems put into archives and file systems.
func Skipped(name string) bool {
	switch name {
	case "__MACOSX", "lost+found", "$RECYCLE.BIN", "System Volume Information":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// folderList holds entries of a folder that matter, sorted by name: the next ones in the order of names. A name takes
// its bytes and seven more, a third of what strings and a slice of them would take.
type folderList struct {
	most  int    // entries held while the folder is read, at least 2
	after string // the names of the entries come after this one
	last  []byte // the last of them where the folder has more; those have been dropped

	chunks  [][]byte
	entries []uint32 // chunk and offset in it, of a kind, the two bytes of a length and a name
}

// The kinds of entries. Links may lead to files or folders.
const (
	soundEntry = iota
	folderEntry
	linkEntry
)

const (
	mostNames   = 1 << 16
	readEntries = 1 << 10 // at a time
	chunkBits   = 16      // of an offset: a name of 255 characters fits in any case
)

// read lists a folder from the name on where the list ends. Its error comes with the entries that could be read.
func (l *folderList) read(folder string) error {
	*l = folderList{most: l.most, after: string(l.last)}
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	for err == nil {
		var entries []fs.DirEntry
		entries, err = dir.ReadDir(readEntries)
		for _, e := range entries {
			l.add(e)
		}
	}
	l.sort()
	if err == io.EOF {
		return nil
	}
	return err
}

func (l *folderList) sort() {
	slices.SortFunc(l.entries, func(a, b uint32) int { return bytes.Compare(l.name(a), l.name(b)) })
}

// halve drops the half of the entries that comes last.
func (l *folderList) halve() {
	l.sort()
	half := folderList{most: l.most, after: l.after}
	for _, e := range l.entries[:len(l.entries)/2] {
		name, kind := l.at(e)
		half.put(name, kind)
	}
	half.last = half.name(half.entries[len(half.entries)-1])
	*l = half
}

// add adds an entry that matters.
func (l *folderList) add(e fs.DirEntry) {
	name, mode, kind := e.Name(), e.Type(), byte(linkEntry)
	switch {
	case Skipped(name) || name <= l.after || l.last != nil && name > string(l.last):
		return
	case mode.IsDir():
		kind = folderEntry
	case mode.IsRegular() && IsAudio(name):
		kind = soundEntry
	case mode&(fs.ModeSymlink|fs.ModeIrregular) == 0: // those of Windows, junctions among them, may be irregular
		return
	}
	if l.put(name, kind); len(l.entries) >= l.most {
		l.halve()
	}
}

// put stores an entry.
func (l *folderList) put(name string, kind byte) {
	last := len(l.chunks) - 1
	if last < 0 || len(l.chunks[last])+3+len(name) > cap(l.chunks[last]) {
		l.chunks = append(l.chunks, make([]byte, 0, min(1<<chunkBits, 1<<(10+2*len(l.chunks)))))
		last++
	}
	l.entries = append(l.entries, uint32(last<<chunkBits|len(l.chunks[last])))
	l.chunks[last] = append(append(l.chunks[last], kind, byte(len(name)), byte(len(name)>>8)), name...)
}

// name returns an entry's name, not to be changed.
func (l *folderList) name(entry uint32) []byte {
	at := l.chunks[entry>>chunkBits][entry&(1<<chunkBits-1):]
	return at[3 : 3+(int(at[1])|int(at[2])<<8)]
}

// at returns an entry's name and kind.
func (l *folderList) at(entry uint32) (name string, kind byte) {
	return string(l.name(entry)), l.chunks[entry>>chunkBits][entry&(1<<chunkBits-1)]
}
