//go:build !unix

package atomicfile

import (
	"io/fs"
	"os"
)

func syncFolder(string) {}

func keepOwner(*os.File, fs.FileInfo) {}
