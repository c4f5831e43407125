package datasets

import (
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
	"github.com/polyphon/polyphon/internal/safe"
	"golang.org/x/text/unicode/norm"
)

const noiseFolder = "_background_noise_"

// listNames are the files that name a split's clips, one path below the data folder a line.
var listNames = [All]string{Valid: "validation_list.txt", Test: "testing_list.txt"}

// clip is a recording in a class folder, or a part of a recording with cue points.
type clip struct {
	path  string // below the data folder, with slashes
	class string // "" beside the class folders
	split Split
	fold  int // in the layout foldK/CLASS
	part  Span
	point bool // the cue point states no length; see Item
}

// tree is what a data folder holds.
type tree struct {
	dir     string
	clips   []clip                 // sorted by path
	count   map[string]int         // clips of each class, 0 for empty class folders
	memory  map[string]*audio.Clip // the sounds, where they are in no files
	noise   []string               // below dir, sorted
	tracks  []string               // label tracks of the clips
	lists   []string               // the split lists that exist
	given   [All]bool              // splits that folders or lists state
	folds   []int                  // numbers of the folds, sorted; nil where there are none
	dealt   bool                   // the folds are no folders
	rule    string                 // for Set.Rule
	ignored map[string]int         // for Set.Ignored
	notes   []string               // for Set.Notes
	loose   []string               // some of the clips that are ignored since they are in no class folder
	unread  []string               // files of other sound formats than are read
	copies  [][]string             // paths of recordings with the same content
}

// scan reads the folder's layout and finds its clips.
func scan(dir string) (*tree, error) {
	t := &tree{dir: dir, count: map[string]int{}, ignored: map[string]int{}}
	top, err := t.list("")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoData, err)
	}
	for _, name := range top.clips {
		t.clips = append(t.clips, clip{path: name})
	}
	switch folders := without(top.folders, noiseFolder); {
	case t.allMatch(folders, isSplit):
		err = t.scanGroups(top, func(folder string) clip { return clip{split: splitFolders[strings.ToLower(folder)]} })
	case len(folders) > 1 && t.allMatch(folders, foldFolder.MatchString):
		err = t.scanGroups(top, func(folder string) clip {
			fold, _ := strconv.Atoi(foldFolder.FindStringSubmatch(folder)[1])
			t.folds = append(t.folds, fold)
			return clip{fold: fold}
		})
		slices.Sort(t.folds)
	default:
		if err = t.scanClasses("", clip{}); err == nil {
			err = t.readLists(top.others)
		}
	}
	if err != nil {
		return nil, err
	}
	t.findUnread()
	t.expandCues()
	t.sort()
	t.findCopies()
	if len(t.clips) == 0 {
		return nil, fmt.Errorf("%w: %s has no folders with sound files (%s) in them; the clips of each class "+
			"belong in a folder of that name, or in WAV recordings of %d KiB or more with labelled cue points%s",
			ErrNoData, dir, strings.Join(audio.Extensions(), ", "), minCueBytes>>10, t.noteUnread(""))
	}
	return t, nil
}

// findUnread finds the files of sound formats that are not read, and notes them. Of folders that cannot be read, the
// error comes from elsewhere.
func (t *tree) findUnread() {
	filepath.WalkDir(t.dir, func(file string, e fs.DirEntry, err error) error {
		switch rel, _ := filepath.Rel(t.dir, file); {
		case err != nil || file == t.dir:
		case audio.Skipped(e.Name()) && e.IsDir():
			return fs.SkipDir
		case !e.IsDir() && !audio.Skipped(e.Name()) && audio.Unread(e.Name()):
			t.unread = append(t.unread, filepath.ToSlash(rel))
		}
		return nil
	})
	if note := t.noteUnread(""); note != "" {
		t.notes = append(t.notes, strings.TrimPrefix(note, "; "))
	}
}

// noteUnread returns, after a semicolon, a note on the unread files below a folder; "" where there are none.
func (t *tree) noteUnread(folder string) string {
	files := slices.DeleteFunc(slices.Clone(t.unread), func(file string) bool {
		return folder != "" && !strings.Contains("/"+file, "/"+folder+"/")
	})
	if len(files) == 0 {
		return ""
	}
	return fmt.Sprintf("; ignored %d file(s) of sound formats that are not read, which an installed ffmpeg decodes with "+
		"--decode-with ffmpeg: %s", len(files), enumerate(files, namedFiles))
}

// sort sorts what was found.
func (t *tree) sort() {
	slices.SortStableFunc(t.clips, func(a, b clip) int { return strings.Compare(a.path, b.path) })
	slices.Sort(t.noise)
}

// file returns the path to open of a path below dir, or the name of a clip in memory.
func (t *tree) file(name string) string {
	if t.memory != nil {
		return name
	}
	return filepath.Join(t.dir, filepath.FromSlash(name))
}

// files returns what the digest covers, sorted.
func (t *tree) files() (files []dataFile) {
	names := slices.Concat(t.noise, t.lists, t.tracks)
	for _, c := range t.clips {
		names = append(names, c.path)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) { // a recording with cue points holds several clips
		files = append(files, dataFile{t.file(name), name, t.memory[name]})
	}
	return files
}

// scanGroups reads the layouts GROUP/CLASS, where the group's name says what its clips are like.
func (t *tree) scanGroups(top listing, template func(folder string) clip) error {
	for _, folder := range top.folders {
		if folder == noiseFolder {
			paths, err := t.walk(folder)
			if err != nil {
				return err
			}
			t.noise = append(t.noise, paths...)
			continue
		}
		c, before := template(folder), len(t.clips)
		l, err := t.list(folder)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNoData, err)
		}
		for _, name := range l.clips {
			c.path = path.Join(folder, name)
			t.clips = append(t.clips, c)
		}
		if err := t.scanClasses(folder, c); err != nil {
			return err
		}
		t.given[c.split] = t.given[c.split] || len(t.clips) > before
	}
	return nil
}

// scanClasses adds the clips of the class folders in a folder below dir, which are otherwise like the template.
func (t *tree) scanClasses(folder string, template clip) error {
	l, err := t.list(folder)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoData, err)
	}
	for _, class := range l.folders {
		paths, err := t.walk(path.Join(folder, class))
		if err != nil {
			return err
		}
		if class == noiseFolder {
			t.noise = append(t.noise, paths...)
			continue
		}
		class = norm.NFC.String(safe.FolderLabel(class)) // of an event that was saved, or a file that was sorted
		if len(paths) == 0 {
			t.count[class] += 0 // the folder exists
		}
		template.class = class
		for _, template.path = range paths {
			t.clips = append(t.clips, template)
		}
	}
	return nil
}

// readLists moves the clips that the lists beside the class folders name into their splits; some may be missing.
func (t *tree) readLists(files []string) error {
	index := make(map[string]int, len(t.clips))
	for i, c := range t.clips {
		index[norm.NFC.String(c.path)] = i
	}
	for i, name := range listNames {
		split := Split(i)
		if !slices.Contains(files, name) {
			continue
		}
		text, err := os.ReadFile(t.file(name))
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrNoData, name, err)
		}
		entries, found := listEntries(string(text)), 0
		for _, entry := range entries {
			if i, ok := index[entry]; ok {
				if s := t.clips[i].split; s != Train && s != split {
					return fmt.Errorf("%w: %s is in both %s and %s", ErrOptions, entry, listNames[s], name)
				}
				t.clips[i].split = split
				found++
			}
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

// listEntries returns the paths in a list, one a line. Blank lines, a byte order mark and backslashes are fine.
func listEntries(text string) (entries []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(strings.TrimPrefix(line, "\uFEFF")); line != "" {
			entries = append(entries, norm.NFC.String(path.Clean(strings.ReplaceAll(line, `\`, "/"))))
		}
	}
	return entries
}

var (
	foldFolder   = regexp.MustCompile(`(?i)^fold[ _-]?(\d{1,9})$`)
	splitFolders = map[string]Split{
		"train": Train, "training": Train,
		"valid": Valid, "validation": Valid, "val": Valid, "dev": Valid,
		"test": Test, "testing": Test,
	}
)

func isSplit(folder string) bool {
	_, ok := splitFolders[strings.ToLower(folder)]
	return ok
}

// TrainingFolder reports whether a folder of that name, in a data folder, has class folders with clips to train on.
func TrainingFolder(name string) bool {
	split, ok := splitFolders[strings.ToLower(name)]
	return ok && split == Train || foldFolder.MatchString(name)
}

// allMatch reports whether all folders have names that match and hold folders; a class called "test" holds clips alone.
func (t *tree) allMatch(folders []string, match func(string) bool) bool {
	return len(folders) > 0 && !slices.ContainsFunc(folders, func(folder string) bool {
		if !match(folder) {
			return true
		}
		l, err := t.list(folder)
		return err == nil && len(l.folders) == 0
	})
}

func without(names []string, drop ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(drop, n) })
}

// listing is what a folder holds, each part sorted by name, but what audio.Skipped names.
type listing struct{ folders, clips, others []string }

// list lists a folder below dir; links are followed.
func (t *tree) list(folder string) (l listing, err error) {
	entries, err := os.ReadDir(t.file(folder))
	if err != nil {
		return l, err
	}
	for _, e := range entries {
		mode := e.Type()
		if audio.Skipped(e.Name()) {
			continue
		}
		if mode&fs.ModeSymlink != 0 {
			mode = 0 // a dangling link counts as a file, so that the loader names it
			if info, err := os.Stat(t.file(path.Join(folder, e.Name()))); err == nil {
				mode = info.Mode().Type()
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

// walk returns the paths of all clips in and below a folder, dangling links included, or the error of a folder that
// cannot be read.
func (t *tree) walk(folder string) (paths []string, err error) {
	files, err := soundFiles(t.file(folder))
	for _, f := range files {
		paths = append(paths, path.Join(folder, f.Rel))
	}
	return paths, err
}

// soundFiles returns what audio.Files finds, dangling links included (the loader names them). Its error wraps
// ErrNoData: what a folder that cannot be read holds would be missing in silence.
func soundFiles(root string) (files []audio.File, err error) {
	for f, err := range audio.Files(root) {
		if err != nil && (f.Path == root || !audio.IsAudio(f.Path)) {
			return nil, fmt.Errorf("%w: %w", ErrNoData, err)
		}
		files = append(files, f)
	}
	return files, nil
}
