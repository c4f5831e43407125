package arm64

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const assembler, dumper = "aarch64-linux-gnu-as", "aarch64-linux-gnu-objdump"

// samples returns instructions of every encoding, in Arm's syntax, with their words.
func samples() (text []string, words []uint32) {
	for _, name := range slices.Sorted(maps.Keys(encodings)) {
		e := encodings[name]
		for i, r := range [][3]int{{0, 0, 0}, {31, 31, 31}, {1, 2, 4}, {24, 17, 10}, {5, 9, 30}} {
			index := i % 4
			if e.form == shifted {
				index = []int{1, 52, 63, 64, 17}[i]
			}
			word, line := e.encode(r[0], r[1], r[2], index)
			text, words = append(text, line), append(words, word)
		}
	}
	return text, words
}

// assembled returns the words of GNU's assembler.
func assembled(t *testing.T, lines []string) []uint32 {
	object := filepath.Join(t.TempDir(), "object")
	as := exec.Command(assembler, "-o", object, "-")
	as.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := as.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(dumper, "-d", object).Output()
	if err != nil {
		t.Fatal(err)
	}
	var words []uint32
	for _, line := range regexp.MustCompile(`(?m)^ +[0-9a-f]+:\t([0-9a-f]{8})`).FindAllSubmatch(out, -1) {
		var word uint32
		fmt.Sscanf(string(line[1]), "%x", &word)
		words = append(words, word)
	}
	return words
}

// The golden file is what GNU's assembler makes of the samples. Where it is installed, it is asked again.
func TestEncodings(t *testing.T) {
	const golden = "testdata/encodings.txt"
	lines, words := samples()
	compare := func(from string, want []uint32) {
		t.Helper()
		if len(want) != len(words) {
			t.Fatalf("%s: %d instructions, want %d", from, len(want), len(words))
		}
		for i, w := range want {
			if words[i] != w {
				t.Errorf("%s: %s is %08x, want %08x", from, lines[i], words[i], w)
			}
		}
	}
	if _, err := exec.LookPath(assembler); err == nil {
		asked := assembled(t, lines)
		compare(assembler, asked)
		if os.Getenv("UPDATE") != "" {
			text := new(bytes.Buffer)
			for i, w := range asked {
				fmt.Fprintf(text, "%08x %s\n", w, lines[i])
			}
			if err := os.WriteFile(golden, text.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	content, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var want []uint32
	for i, line := range strings.Split(strings.TrimSpace(string(content)), "\n") {
		word, text, _ := strings.Cut(line, " ")
		if i < len(lines) && text != lines[i] {
			t.Fatalf("the golden file has %q, want %q", text, lines[i])
		}
		var w uint32
		fmt.Sscanf(word, "%x", &w)
		want = append(want, w)
	}
	compare(golden, want)
}

// Every word in the kernels is the instruction of its comment.
func TestWordsOfKernels(t *testing.T) {
	if _, err := exec.LookPath(assembler); err != nil {
		t.Logf("%s is not installed: TestEncodings compares with its golden file alone", assembler)
		return
	}
	files, err := filepath.Glob("../../../*/internal/simd/kernels_arm64.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("no kernels: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		words := map[string]uint32{}
		lineOf := regexp.MustCompile(`WORD\t\$0x([0-9a-f]{8}) // (.*)`)
		for _, match := range lineOf.FindAllStringSubmatch(string(content), -1) {
			var word uint32
			fmt.Sscanf(match[1], "%x", &word)
			words[match[2]] = word
		}
		lines := slices.Sorted(maps.Keys(words))
		want := assembled(t, lines)
		if len(want) != len(lines) || len(lines) == 0 {
			t.Fatalf("%s: %d words, %d instructions", file, len(want), len(lines))
		}
		for i, line := range lines {
			if words[line] != want[i] {
				t.Errorf("%s: %s is %08x, want %08x", file, line, words[line], want[i])
			}
		}
	}
}
