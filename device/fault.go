package device

import "fmt"

// Fault is a failure of a device with memory of its own, such as a GPU. The methods of Device have no errors to return, so
// they panic with a *Fault. It stays: the device's memory cannot be trusted any more, and every later call panics with the same one.
type Fault struct {
	Kernel string // the kernel, or what else was being done
	Err    error  // the driver's
}

// Error says what failed.
func (f *Fault) Error() string { return fmt.Sprintf("%s: %v", f.Kernel, f.Err) }

// Unwrap returns the driver's error.
func (f *Fault) Unwrap() error { return f.Err }

// Recovered returns what a call of recover returned, if that is a *Fault, or nil where it is nil. Anything else goes on
// panicking.
func Recovered(r any) error {
	if r == nil {
		return nil
	}
	if f, ok := r.(*Fault); ok {
		return f
	}
	panic(r)
}
