package main

import (
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
)

// expandPatterns replaces paths with * or ? by the names that they match, in order, in any case of their letters, as
// cmd.exe leaves it to programs. Elsewhere the shell has done so, and names may contain these characters.
func expandPatterns(paths []string) []string {
	if runtime.GOOS != "windows" {
		return paths
	}
	return matchPatterns(paths)
}

// matchPatterns is expandPatterns where programs have to do it. A pattern that matches nothing stays: the message that
// there is no such file names it.
func matchPatterns(paths []string) (expanded []string) {
	for _, path := range paths {
		var names []string
		if strings.ContainsAny(path, "*?") {
			names, _ = filepath.Glob(globPattern(path)) // which is well formed
		}
		if len(names) == 0 {
			names = []string{path}
		}
		expanded = append(expanded, names...)
	}
	return expanded
}

// globPattern writes a pattern of * and ? alone, which matches any case, for filepath.Match.
func globPattern(path string) string {
	var b strings.Builder
	for part := range strings.SplitAfterSeq(filepath.ToSlash(path), "/") {
		if !strings.ContainsAny(part, "*?") {
			b.WriteString(strings.ReplaceAll(part, "[", "[[]"))
			continue
		}
		for _, r := range part {
			switch upper, lower := unicode.ToUpper(r), unicode.ToLower(r); {
			case upper != lower:
				b.WriteString("[" + string(upper) + string(lower) + "]")
			case r == '[':
				b.WriteString("[[]")
			default:
				b.WriteRune(r)
			}
		}
	}
	return filepath.FromSlash(b.String())
}
