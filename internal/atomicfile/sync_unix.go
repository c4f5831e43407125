//go:build unix

package atomicfile

import (
	"io/fs"
	"os"
	"syscall"
)

// syncFolder writes a folder's names to the disk. Some file systems cannot, which is no error of the file.
func syncFolder(path string) {
	if f, err := os.Open(path); err == nil {
		f.Sync()
		f.Close()
	}
}

// keepOwner gives f the owner of another file, as far as this user may.
func keepOwner(f *os.File, of fs.FileInfo) {
	if s, ok := of.Sys().(*syscall.Stat_t); ok && (int(s.Uid) != os.Geteuid() || int(s.Gid) != os.Getegid()) {
		f.Chown(int(s.Uid), int(s.Gid))
	}
}
