package foreign

import "testing"

func TestKind(t *testing.T) {
	const pointer = `a Git LFS pointer ("git lfs pull" fetches the file itself)`
	const page = "an HTML page (perhaps a web page that was saved in place of the file it offers)"
	for start, want := range map[string]string{
		"":           "an empty file",
		"abc":        "a file of 3 bytes",
		"abcdefghij": `a file that begins with "abcdefgh"`,
		"{}":         "a text file",
		"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n": pointer,
		"version https://git-lfs.github.com/spec/v2\r\n":              pointer,
		"version https://git-lfs":                                     pointer,
		"version https://example.com":                                 `a file that begins with "version "`,
		"<!DOCTYPE html>\n<html lang=\"en\">":                         page,
		"\n\n  <html>":                                                page,
		"\ufeff<!doctype HTML PUBLIC \"-//W3C":                        page,
		"<htm>":                                                       "a file of 5 bytes",
		"\x08\x08\x12\x07pytorch":                                     "an ONNX model",
		"\x1f\x8b\x08\x00\x00\x00\x00\x00":                            "a gzip file (perhaps not yet unpacked)",
		"PK\x03\x04":                                                  "a ZIP archive (perhaps a PyTorch checkpoint)",
	} {
		if got := Kind([]byte(start)); got != want {
			t.Errorf("%q is %s, want %s", start, got, want)
		}
	}
}
