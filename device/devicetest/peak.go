package devicetest

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/device/internal/simd"
)

// Peak returns a function that does nothing but independent multiply-adds in the registers of the named kernel set, and
// the number of floating-point operations of a call: the limit on one thread that products are compared to. A set
// without such a loop gives an error that wraps device.ErrKernels.
func Peak(kernels string) (run func(), flops int, err error) {
	for _, k := range simd.Sets() {
		if k.Name == kernels && k.Peak != nil {
			const steps, multiplyAdds = 10000, 12
			return func() { k.Peak(steps) }, 2 * multiplyAdds * steps * k.Width, nil
		}
	}
	return nil, 0, fmt.Errorf("%w: %q has no loop of multiply-adds", device.ErrKernels, kernels)
}
