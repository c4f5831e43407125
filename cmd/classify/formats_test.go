package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/need"
)

// TestFormats classifies the word "left" in compressed formats: as a file, as one whose name says nothing, in a folder,
// on standard input, and as live sound.
func TestFormats(t *testing.T) {
	const id3 = "ID3\x04\x00\x00\x00\x00\x00\x08\xff\xfb\x90\x64\xff\xfb\x90\x64" // what is in a tag is no frame
	for name, tag := range map[string]string{
		"mono.ogg": "", "music.opus": "", "mono.oga": "", "mono.mp3": "", "stereo.mp3": id3, "stereo.ogg": "",
	} {
		data, err := os.ReadFile(filepath.Join("..", "..", "audio", "testdata", "formats", name))
		if err != nil {
			t.Fatal(err)
		}
		data = append([]byte(tag), data...)
		folder := t.TempDir()
		path, other := filepath.Join(folder, name), filepath.Join(t.TempDir(), "recording")
		for _, p := range []string{path, other} {
			if err := os.WriteFile(p, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, args := range [][]string{{path}, {other}, {folder}, {"-"}, {"--stream"}} {
			var in []byte
			if args[0] == "-" || args[0] == "--stream" {
				in = data
			}
			status, stdout, _ := classify(t, in, append(args, "--format", "ndjson")...)
			expect(t, name+" "+args[0]+": status", status, statusOK)
			found := 0
			for _, e := range parse(t, stdout) {
				if e.Event == "detection" && e.Label == "left" || e.Event == "result" && e.Labels[0].Label == "left" {
					found++
				}
			}
			if found == 0 {
				t.Errorf("%s: %q: %s", name, args, stdout)
			}
		}
	}
}

// TestDecodeWith gives classify a format that only ffmpeg decodes.
func TestDecodeWith(t *testing.T) {
	program := need.Tool(t, "ffmpeg")
	t.Cleanup(func() { audio.RegisterFallback(nil) })
	folder := t.TempDir()
	path := filepath.Join(folder, "left.m4a")
	left := filepath.Join("..", "..", "examples", "left.wav")
	if out, err := exec.Command(program, "-i", left, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	status, _, stderr := classify(t, nil, path)
	expect(t, "without the flag", status, statusFailed)
	contains(t, "without the flag", stderr, "an M4A file (AAC or ALAC); convert it with ffmpeg -i in.m4a out.wav")

	aac, err := exec.Command(program, "-i", left, "-f", "adts", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{path}, {folder}, {"-"}, {"--stream"}} {
		var in []byte
		if args[0] == "-" || args[0] == "--stream" {
			in = bytes.Clone(aac)
		}
		status, stdout, stderr := classify(t, in, append(args, "--decode-with", "ffmpeg")...)
		expect(t, args[0]+": status", status, statusOK)
		contains(t, args[0]+": "+stderr, stdout, "left")
	}

	t.Setenv("PATH", t.TempDir())
	status, _, stderr = classify(t, nil, "--decode-with", "ffmpeg", path)
	expect(t, "without ffmpeg", status, statusUsage)
	contains(t, "without ffmpeg", stderr,
		"classify: --decode-with ffmpeg: ffmpeg is not installed, or not in a folder of PATH")
}
