// Package race reports to tests whether the race detector watches them.
package race

import (
	"runtime/debug"
	"slices"
)

// Enabled reports whether the program was built with the race detector, under which sync.Pool drops some values, so
// that nothing can be said of allocations.
func Enabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
