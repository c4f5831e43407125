//go:build !linux

package examples

import "syscall"

func alone(string) *syscall.SysProcAttr { return nil } // and there is no /classify
