package examples

import "syscall"

// alone has a process run in a file system of its own, and as nobody.
func alone(root string) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
}
