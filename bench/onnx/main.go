// Command onnx gives bench/onnx/check.sh what it compares ONNX Runtime with.
//
//	onnx cases [-data DIR] [-clips N] OUT  models of every block kind, and sounds
//	onnx answers DIR                       polyphon's answers from the models to the sounds there
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "onnx:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) > 0 && args[0] == "cases":
		return cases(args[1:])
	case len(args) == 2 && args[0] == "answers":
		return answers(args[1])
	}
	return fmt.Errorf("usage: onnx cases [-data DIR] [-clips N] OUT | onnx answers DIR")
}
