package device

import "fmt"

// Fault is the failure of a device with memory of its own, such as a GPU. Device's methods return no errors, so such a
// device panics with a *Fault, which Recovered returns as an error. A fault sticks: the device's memory cannot be
// trusted afterwards, and every later call panics with the same *Fault.
type Fault struct {
	Kernel string // the kernel, or whatever else was being done
	Err    error
}

// Error names the kernel and the reason. Kernels run asynchronously: a failure may only show in a later call.
func (f *Fault) Error() string { return fmt.Sprintf("device: %s: %v", f.Kernel, f.Err) }

// Unwrap returns the driver's error.
func (f *Fault) Unwrap() error { return f.Err }

// Recovered returns r, recover's result, as an error if it is a *Fault or nil. Otherwise it panics with r again.
func Recovered(r any) error {
	switch r := r.(type) {
	case nil:
		return nil
	case *Fault:
		return r
	}
	panic(r)
}
