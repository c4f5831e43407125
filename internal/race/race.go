// Package race tells tests whether the race detector watches them.
package race

import "runtime/debug"

// Enabled reports whether the program was built with the race detector, under which sync.Pool drops some of what it is given, so
// that nothing can be said of allocations.
func Enabled() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}
