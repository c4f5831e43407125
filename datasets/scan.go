package datasets

import (
	"bufio"
	"fmt"
	"io"
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

const noiseFolder = "_background_noise_"

// listNames are the files that name a split's clips, one path below the data folder a line.
var listNames = [All]string{Valid: "validation_list.txt", Test: "testing_list.txt"}

// clip is a recording in a class folder.
type clip struct {
	path  string // below the data folder, with slashes
	class string
	split Split
	fold  int // in the layout foldK/CLASS
}

// tree is what a data folder holds.
type tree struct {
	dir   string
	clips []clip         // sorted by path
	count map[string]int // clips of each class folder, 0 included
	noise []string       // below dir, sorted
	lists []string       // the split lists that exist
	loose int            // clips beside the class folders
	given [All]bool      // splits that folders or lists state
	folds []int          // numbers of the folds, sorted; nil in other layouts
}

// scan reads the folder's layout and finds its clips.
func scan(dir string) (*tree, error) {
	t := &tree{dir: dir, count: map[string]int{}}
	top, err := t.list("")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoData, err)
	}
	t.loose = len(top.clips)
	switch folders := without(top.folders, noiseFolder); {
	case t.allMatch(folders, isSplitFolder):
		err = t.scanSplits(top)
	case len(folders) > 1 && t.allMatch(folders, isFold):
		err = t.scanFolds(top)
	default:
		if err = t.scanClasses("", clip{}); err == nil {
			err = t.readLists(top.others)
		}
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(t.clips, func(a, b clip) int { return strings.Compare(a.path, b.path) })
	slices.Sort(t.noise)
	if len(t.clips) == 0 {
		return nil, fmt.Errorf("%w: %s has no folders with WAV or FLAC files in them; the clips of each class belong into "+
			"a folder of that name", ErrNoData, dir)
	}
	return t, nil
}

// scanSplits reads the layout train/CLASS, valid/CLASS, test/CLASS.
func (t *tree) scanSplits(top listing) error {
	for _, folder := range top.folders {
		split, ok := splitFolders[strings.ToLower(folder)]
		if !ok { // _background_noise_
			t.noise = append(t.noise, t.walk(folder)...)
			continue
		}
		before := len(t.clips)
		if err := t.scanClasses(folder, clip{split: split}); err != nil {
			return err
		}
		t.given[split] = t.given[split] || len(t.clips) > before
	}
	return nil
}

// scanFolds reads the layout foldK/CLASS of the ESC data sets.
func (t *tree) scanFolds(top listing) error {
	t.given = [All]bool{true, true, true}
	for _, folder := range top.folders {
		number := foldFolder.FindStringSubmatch(folder)
		if number == nil { // _background_noise_
			t.noise = append(t.noise, t.walk(folder)...)
			continue
		}
		fold, err := strconv.Atoi(number[1])
		if err != nil {
			return fmt.Errorf("%w: folder %s: %w", ErrNoData, folder, err)
		}
		t.folds = append(t.folds, fold)
		if err := t.scanClasses(folder, clip{fold: fold}); err != nil {
			return err
		}
	}
	slices.Sort(t.folds)
	return nil
}

// scanClasses adds the clips of the class folders in a folder below dir, which are otherwise like the template.
func (t *tree) scanClasses(folder string, template clip) error {
	l, err := t.list(folder)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoData, err)
	}
	for _, class := range l.folders {
		paths := t.walk(path.Join(folder, class))
		if class == noiseFolder {
			t.noise = append(t.noise, paths...)
			continue
		}
		t.count[class] += len(paths)
		for _, p := range paths {
			c := template
			c.path, c.class = p, class
			t.clips = append(t.clips, c)
		}
	}
	return nil
}

// readLists moves the clips that the lists beside the class folders name into their splits. Lists of a larger data
// set, of which only a part is there, are fine.
func (t *tree) readLists(files []string) error {
	index := make(map[string]int, len(t.clips))
	for i, c := range t.clips {
		index[c.path] = i
	}
	for _, split := range []Split{Valid, Test} {
		name := listNames[split]
		if !slices.Contains(files, name) {
			continue
		}
		entries, err := t.openList(name)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrNoData, name, err)
		}
		found := 0
		for _, entry := range entries {
			i, ok := index[entry]
			if !ok {
				continue
			}
			if c := t.clips[i]; c.split != Train && c.split != split {
				return fmt.Errorf("%w: %s is in both %s and %s", ErrOptions, entry, listNames[c.split], name)
			}
			t.clips[i].split = split
			found++
		}
		if found == 0 && len(entries) > 0 {
			return fmt.Errorf("%w: none of the %d lines of %s names a clip that exists; a line reads CLASS/CLIP.wav",
				ErrNoData, len(entries), name)
		}
		t.given[split] = true
		t.lists = append(t.lists, name)
	}
	return nil
}

func (t *tree) openList(name string) ([]string, error) {
	f, err := os.Open(filepath.Join(t.dir, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readList(f)
}

// readList reads one path a line. Blank lines, a byte order mark and backslashes in the place of slashes are fine.
func readList(r io.Reader) ([]string, error) {
	var entries []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\uFEFF"))
		if line != "" {
			entries = append(entries, path.Clean(strings.ReplaceAll(line, `\`, "/")))
		}
	}
	return entries, lines.Err()
}

var (
	foldFolder   = regexp.MustCompile(`(?i)^fold[ _-]?(\d+)$`)
	splitFolders = map[string]Split{
		"train": Train, "training": Train,
		"valid": Valid, "validation": Valid, "val": Valid, "dev": Valid,
		"test": Test, "testing": Test,
	}
)

func isSplitFolder(name string) bool {
	_, ok := splitFolders[strings.ToLower(name)]
	return ok
}

func isFold(name string) bool { return foldFolder.MatchString(name) }

// allMatch tells whether all folders have names that match and hold folders instead of clips. Classes that
// happen to be called "train" and "test" hold clips.
func (t *tree) allMatch(folders []string, match func(string) bool) bool {
	for _, folder := range folders {
		if !match(folder) {
			return false
		}
		if l, err := t.list(folder); err != nil || len(l.clips) > 0 || len(l.folders) == 0 {
			return false
		}
	}
	return len(folders) > 0
}

func without(names []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
}

// listing is what a folder holds, each part sorted by name. Hidden files and folders are left out, and with
// them macOS's ._x.wav; so is __MACOSX.
type listing struct {
	folders, clips, others []string
}

// list lists a folder below dir; links are followed.
func (t *tree) list(folder string) (listing, error) {
	name := filepath.Join(t.dir, filepath.FromSlash(folder))
	entries, err := os.ReadDir(name)
	if err != nil {
		return listing{}, err
	}
	var l listing
	for _, e := range entries {
		mode := e.Type()
		if strings.HasPrefix(e.Name(), ".") || e.Name() == "__MACOSX" {
			continue
		}
		if mode&fs.ModeSymlink != 0 {
			if info, err := os.Stat(filepath.Join(name, e.Name())); err == nil {
				mode = info.Mode().Type()
			} else {
				mode = 0 // a dangling link counts as a file, so that the loader names it
			}
		}
		switch {
		case mode.IsDir():
			l.folders = append(l.folders, e.Name())
		case mode.IsRegular() && audio.IsAudio(e.Name()):
			l.clips = append(l.clips, e.Name())
		case mode.IsRegular():
			l.others = append(l.others, e.Name())
		}
	}
	return l, nil
}

// walk returns the paths of all clips in and below a folder. Each real folder is entered once, whatever links lead
// to it; folders that cannot be read count as empty.
func (t *tree) walk(folder string) []string {
	entered := map[string]bool{}
	var paths []string
	var enter func(folder string)
	enter = func(folder string) {
		real, err := filepath.EvalSymlinks(filepath.Join(t.dir, filepath.FromSlash(folder)))
		if err != nil || entered[real] {
			return
		}
		entered[real] = true
		l, err := t.list(folder)
		if err != nil {
			return
		}
		for _, name := range l.clips {
			paths = append(paths, path.Join(folder, name))
		}
		for _, name := range l.folders {
			enter(path.Join(folder, name))
		}
	}
	enter(folder)
	return paths
}
