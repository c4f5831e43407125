package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/atomicfile"
)

// checkpoint returns the path of the run's checkpoint; "" where there is no place for one beside a device or a pipe.
func (c *fitCmd) checkpoint() string {
	if atomicfile.InPlace(c.Out) {
		return ""
	}
	return c.Out + ".checkpoint"
}

// checkOutputs returns an error where the model or the checkpoint cannot be written, or would replace one of an earlier
// run without --resume or --force: before the training, and not after hours of it.
func (c *fitCmd) checkOutputs() error {
	if err := atomicfile.Check(c.Out); err != nil {
		return err
	}
	checkpoint := c.checkpoint()
	if checkpoint == "" {
		if c.Resume {
			return usageError("--resume: there is no checkpoint beside %s, which is no regular file", c.Out)
		}
		return nil
	}
	if err := atomicfile.Check(checkpoint); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	kept := exists(checkpoint)
	switch {
	case c.Force || c.Resume && kept:
		return nil
	case kept:
		return usageError("%s is there from an earlier run: --resume continues it, --force starts anew and replaces it",
			checkpoint)
	case exists(c.Out):
		return usageError("%s exists, and has no checkpoint that --resume could continue from: --force replaces it", c.Out)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// reportTo returns where the line about a file that was written goes: not to the standard output where that may be it.
func reportTo(s program.Streams, path string) io.Writer {
	if atomicfile.InPlace(path) {
		return s.Err
	}
	return s.Out
}
