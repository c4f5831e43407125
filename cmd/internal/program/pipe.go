package program

import (
	"errors"
	"slices"
)

// BrokenPipe reports whether an error of writing says that nobody reads the results any more, as after `| head`.
func BrokenPipe(err error) bool {
	return slices.ContainsFunc(brokenPipes, func(e error) bool { return errors.Is(err, e) })
}
