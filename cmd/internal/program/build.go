package program

import (
	"runtime/debug"
	"strings"
	"time"
)

// Version returns the version of the module that the program was built from, with the commit where the version does
// not tell it already, as far as the build says.
func Version() string {
	version, commit := "unknown", setting("vcs.revision")
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	if len(commit) < 12 || strings.Contains(version, commit[:12]) {
		return version
	}
	return version + " (commit " + commit[:12] + ")"
}

// Commit returns the commit that the program was built from, or else its version, as far as the build says.
func Commit() string {
	if commit := setting("vcs.revision"); commit != "" {
		return commit
	}
	return Version()
}

// date returns the day of the commit, or "" where the build does not say.
func date() string {
	t, err := time.Parse(time.RFC3339, setting("vcs.time"))
	if err != nil {
		return ""
	}
	return t.Format(time.DateOnly)
}

// setting returns one of the build's settings, or "".
func setting(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
