package main

import (
	"errors"
	"io/fs"
	"os"
	slashpath "path"
	"path/filepath"
	"strings"

	"github.com/polyphon/polyphon/audio"
)

// stdinName stands for the standard input among the paths.
const stdinName = "-"

// input is a sound to classify, or what is wrong with a path that was given.
type input struct {
	name string
	rel  string // the path below the folder that was given, or the file's base name; with slashes on every system
	err  error
}

var errNoSounds = errors.New("no sound files (.wav, .wave, .flac) in this folder")

// find lists the sounds behind the paths: files and the standard input as they are given, folders by the sound files
// in them, in sorted order.
func find(paths []string) []input {
	var list []input
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case path == stdinName:
			list = append(list, input{name: path, rel: path})
		case err != nil || !info.IsDir():
			list = append(list, input{name: path, rel: filepath.Base(path), err: err})
		default:
			found := findIn(path, "", nil)
			if len(found) == 0 {
				found = []input{{name: path, err: errNoSounds}}
			}
			list = append(list, found...)
		}
	}
	return list
}

// findIn appends the sound files in a folder, which lies at rel below the one that was given, and those below it. Hidden entries (".git", the "._x.wav" of macOS) are left
// out, and symbolic links to folders are not followed, since they may lead in circles.
func findIn(dir, rel string, list []input) []input {
	entries, err := os.ReadDir(dir)
	if err != nil {
		list = append(list, input{name: dir, rel: rel, err: err})
	}
	for _, e := range entries {
		path, rel := filepath.Join(dir, e.Name()), slashpath.Join(rel, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			list = findIn(path, rel, list)
		case audio.IsAudio(e.Name()) && isFile(path, e):
			list = append(list, input{name: path, rel: rel})
		}
	}
	return list
}

// isFile reports whether an entry is a regular file, or a link that may lead to one.
func isFile(path string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.Type().IsRegular()
	}
	info, err := os.Stat(path)
	return err != nil || info.Mode().IsRegular() // a broken link fails, by name, when it is opened
}
