package program

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// brokenPipes are the errors of writing to a pipe without readers: one that is closed, or being closed.
var brokenPipes = []error{windows.ERROR_BROKEN_PIPE, windows.ERROR_NO_DATA, syscall.EPIPE}
