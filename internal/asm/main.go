// Command asm writes the AVX2 and AVX-512 kernels of device/internal/simd and of features/internal/simd.
//
// Each kernel is described once and generated for both vector widths. For device these are loops over rows (rows.go,
// from the table in bodies.go), tiles of matrix products (tiles.go) and of depthwise convolutions (depthwise.go), and
// Winograd's transforms (winograd.go); for features windowing, mel bands and transposition (frames.go), the FFT
// (fft.go) and the logarithm (log.go).
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	. "github.com/mmcloughlin/avo/build"
)

//go:generate go run . device
//go:generate go run . features

func main() {
	flag.Parse()
	folder := "../../" + flag.Arg(0) + "/internal/simd/"
	stubs := folder + "kernels_amd64.go"
	for name, value := range map[string]string{"out": folder + "kernels_amd64.s", "stubs": stubs, "pkg": "simd"} {
		if err := flag.Set(name, value); err != nil {
			log.Fatal(err)
		}
	}
	ConstraintExpr("amd64,!purego")
	tailMask := tailMaskData()
	sets := []isa{
		{name: "avx2", width: 8, tileRows: 6, blocks: []int{2, 1}, tailMask: tailMask},
		{name: "avx512", width: 16, tileRows: 12, blocks: []int{4, 2, 1}, tailMask: tailMask},
	}
	if flag.Arg(0) == "device" {
		for _, s := range sets {
			matMulTile(s)
			outerTile(s)
			depthwise(s)
			peak(s)
			for _, w := range winograds {
				w.generate(s)
			}
			for _, k := range rowKernels {
				k.generate(s)
			}
		}
	} else {
		table := newTable("logTable", logConstants)
		for _, s := range sets {
			window(s)
			first2(s)
			first4(s)
			butterflies(s)
			power(s)
			mels(s)
			logarithm(s, table)
		}
	}
	Generate()
	if err := addSetters(stubs, sets); err != nil {
		log.Fatal(err)
	}
}

// assignments sets the fields of a Kernels value to an instruction set's kernels, as Go code, by the set's name.
var assignments = map[string]string{}

// kernel begins the function for a field of package simd's type Kernels, such as Winograd23.Input.
func kernel(s isa, field, signature string, doc ...string) {
	name := s.name + strings.ReplaceAll(field, ".", "")
	assignments[s.name] += fmt.Sprintf("\tk.%s = %s\n", field, name)
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	doc[0] = name + " " + doc[0]
	Doc(doc...)
}

// end ends a function.
func end() {
	VZEROUPPER()
	RET()
}

// addSetters appends to the Go file the methods of Kernels that take an instruction set's kernels, and breaks its long
// lines.
func addSetters(file string, sets []isa) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text := new(strings.Builder)
	for line := range strings.Lines(string(content)) {
		for len(line) > columns && !strings.HasPrefix(line, "//") {
			at := strings.LastIndex(line[:columns], ", ") + 1
			fmt.Fprintln(text, line[:at])
			line = "\t" + line[at+1:]
		}
		text.WriteString(line)
	}
	for _, s := range sets {
		fmt.Fprintf(text, "\nfunc (k *Kernels) use%s() {\n%s}\n", strings.ToUpper(s.name), assignments[s.name])
	}
	return os.WriteFile(file, []byte(text.String()), 0o644)
}

const columns = 120 // of a line
