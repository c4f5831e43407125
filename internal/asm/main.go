// Command asm writes the AVX2, AVX-512 and NEON kernels of the packages simd in device, features and audio.
//
// What kernels compute is described once: their types (specs.go), the bodies of loops over rows (bodies.go), Winograd's
// transforms (transforms.go) and the FFT's operations (arithmetic.go). The loops and tiles around it are generated for
// amd64, for both vector widths, through package avo (isa.go, rows.go, tiles.go, depthwise.go, winograd.go, frames.go,
// fft.go, log.go, dot.go, bytes.go, words.go), and for arm64 through package arm64 (neon.go and the files neon_*.go).
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
//go:generate go run . audio

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
	var arm *neonFile
	switch flag.Arg(0) {
	case "device":
		arm = neonDevice()
		for _, s := range sets {
			matMulTile(s)
			outerTile(s)
			depthwise(s)
			peak(s)
			quantise(s)
			for _, w := range winograds {
				w.generate(s)
			}
			for _, k := range rowKernels {
				k.generate(s)
			}
		}
		avx2ByteTile(sets[0])
		avx2TernaryTile(sets[0])
		flip(sets[0])
		words(sets[0])
		vnni := sets[1]
		vnni.name = "vnni"
		sets = append(sets, vnni)
		vnniByteTile(vnni)
		words(vnni)
	case "features":
		arm = neonFeatures()
		table := newTable("logTable", logConstants)
		for _, s := range sets {
			window(s)
			first2(s)
			first4(s)
			butterflies(s)
			power(s)
			mels(s)
			logarithm(s, table)
			normalise.generate(s)
		}
	case "audio":
		arm = neonAudio()
		for _, s := range sets {
			dot(s)
		}
	default:
		log.Fatalf("no kernels for %q", flag.Arg(0))
	}
	Generate()
	if err := addSetters(stubs, sets); err != nil {
		log.Fatal(err)
	}
	if err := arm.write(folder, flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

// assignments sets the fields of a Kernels value to an instruction set's kernels, as Go code, by the set's name.
var assignments = map[string]string{}

// kernel begins the function of a kernel.
func kernel(s isa, k spec) {
	name := k.function(s.name)
	assignments[s.name] += fmt.Sprintf("\tk.%s = %s\n", k.field, name)
	TEXT(name, NOSPLIT, k.signature)
	Pragma("noescape")
	Doc(append([]string{name + " " + k.doc[0]}, k.doc[1:]...)...)
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
		text.WriteString(broken(line))
	}
	for _, s := range sets {
		fmt.Fprintf(text, "\nfunc (k *Kernels) use%s() {\n%s}\n", strings.ToUpper(s.name), assignments[s.name])
	}
	return os.WriteFile(file, []byte(text.String()), 0o644)
}

// broken returns a line of Go broken into lines of at most 120 columns, at commas.
func broken(line string) string {
	const columns = 120
	text := ""
	for len(line) > columns && !strings.HasPrefix(line, "//") {
		at := strings.LastIndex(line[:columns], ", ") + 1
		text += line[:at] + "\n"
		line = "\t" + line[at+1:]
	}
	return text + line
}
