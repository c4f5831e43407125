package main

import (
	"bytes"
	"strings"
)

// watched is output, of which parts can be waited for.
type watched struct {
	all   bytes.Buffer
	lines chan string
}

func (w *watched) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		w.lines <- line
	}
	return w.all.Write(p)
}
