package datasets

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/polyphon/polyphon/audio"
)

// clip is a file below a class folder.
type clip struct {
	rel   string // path below the data folder, with slashes
	word  string
	split Split
}

// What a clip's split is until a list or a hash decides it.
const (
	undecided    Split = -1
	trainOrValid Split = -2 // the folder says that it is not for testing
)

// foldFolder names a fold of a cross-validation, as ESC-50's are counted.
var foldFolder = regexp.MustCompile(`^fold[-_]?(\d+)$`)

// splitFolders are top folders that say the split of what is in them.
var splitFolders = map[string]Split{
	"train": Train, "training": Train, "valid": Valid, "validation": Valid, "dev": Valid, "test": Test, "testing": Test,
}

// tree is what scan finds, sorted by path.
type tree struct {
	clips []clip
	noise []string // background recordings
	empty []string // class folders without sound files, below the data folder
}

// scan finds the clips below dir; see Open for the layouts.
func scan(dir string) (*tree, error) {
	tops, err := folders(dir, ".")
	if err != nil {
		return nil, err
	}
	t := &tree{}
	bySplit, last := allSplits(tops), lastFold(tops)
	for _, top := range tops {
		split, nested := undecided, false
		if s, ok := splitFolders[top]; ok && bySplit {
			split, nested = s, true
		} else if n, ok := fold(top); ok && last > 0 {
			split, nested = trainOrValid, true
			if n == last {
				split = Test
			}
		}
		if !nested {
			err = t.add(dir, "", top, split)
		} else {
			err = t.addAll(dir, top, split)
		}
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

// addAll adds the class folders below dir/parent.
func (t *tree) addAll(dir, parent string, split Split) error {
	classes, err := folders(dir, parent)
	if err != nil {
		return err
	}
	for _, class := range classes {
		if err := t.add(dir, parent, class, split); err != nil {
			return err
		}
	}
	return nil
}

// add adds one class folder.
func (t *tree) add(dir, parent, class string, split Split) error {
	files, err := soundFiles(dir, path.Join(parent, class))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		t.empty = append(t.empty, path.Join(parent, class))
	}
	for _, rel := range files {
		if class == NoiseFolder {
			t.noise = append(t.noise, filepath.Join(dir, filepath.FromSlash(rel)))
		} else {
			t.clips = append(t.clips, clip{rel: rel, word: class, split: split})
		}
	}
	return nil
}

func allSplits(tops []string) bool {
	for _, t := range tops {
		if _, ok := splitFolders[t]; !ok && t != NoiseFolder {
			return false
		}
	}
	return true
}

// lastFold returns the highest fold's number where there are at least two folds and no other classes, 0 otherwise.
func lastFold(tops []string) int {
	last, folds := 0, 0
	for _, t := range tops {
		if t == NoiseFolder {
			continue
		}
		n, ok := fold(t)
		if !ok {
			return 0
		}
		last = max(last, n)
		folds++
	}
	if folds < 2 {
		return 0
	}
	return last
}

// fold returns the number in a fold folder's name.
func fold(name string) (int, bool) {
	m := foldFolder.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil
}

// folders returns the class folders directly below dir/sub. Hidden ones, and those that begin with an underscore without being
// one of ours (__MACOSX), are none.
func folders(dir, sub string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(sub)))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		own := name == UnknownLabel || name == SilenceLabel || name == NoiseFolder
		if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") && !own {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(sub), name)); err == nil && info.IsDir() {
			names = append(names, name)
		}
	}
	return names, nil
}

// soundFiles returns the sound files below dir/sub, at any depth, as sorted paths relative to dir.
func soundFiles(dir, sub string) ([]string, error) {
	var files []string
	root := os.DirFS(dir)
	err := fs.WalkDir(root, sub, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(d.Name(), ".") && name != sub:
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir() && audio.IsAudio(d.Name()):
			files = append(files, name)
		}
		return nil
	})
	slices.Sort(files)
	return files, err
}

// readList returns the names in a split list, or nil where there is no such file.
func readList(dir, name string) (map[string]bool, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list := map[string]bool{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" {
			list[path.Clean(filepath.ToSlash(line))] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}
