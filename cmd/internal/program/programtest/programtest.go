// Package programtest runs a program in a process of its own, for tests of signals: the test binary stands in for it.
package programtest

import "os"

// variable has the test binary run the program.
const variable = "POLYPHON_TEST_MAIN"

// Main runs main instead of the tests where the process was made by Start. TestMain calls it first.
func Main(main func()) {
	if os.Getenv(variable) != "" {
		os.Unsetenv(variable)
		main()
		os.Exit(0)
	}
}
