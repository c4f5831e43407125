//go:build !windows

package program

import "syscall"

// brokenPipes are the errors of writing to a pipe without readers.
var brokenPipes = []error{syscall.EPIPE}
