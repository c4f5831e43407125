// Package race reports to tests whether the race detector watches them.
package race

import (
	"runtime/debug"
	"slices"
)

// Enabled reports whether the race detector is built in: sync.Pool then drops values, so that allocations say nothing.
func Enabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
