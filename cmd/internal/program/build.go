package program

import (
	"runtime/debug"
	"strings"
)

// Version returns the version of the module that the program was built from, and the commit unless the version names
// it; "unknown" where the build does not record it.
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

// Commit returns the commit that the program was built from, or its version where the build does not record it.
func Commit() string {
	if commit := setting("vcs.revision"); commit != "" {
		return commit
	}
	return Version()
}

// setting returns a setting of the build, or "".
func setting(key string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == key {
				return s.Value
			}
		}
	}
	return ""
}
