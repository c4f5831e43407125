package safe

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// FolderName makes a text safe as the name of a file or folder, and not hidden: all but letters, digits and a few signs
// become %XX. Different texts stay different.
func FolderName(text string) string {
	var b strings.Builder
	for i, r := range text {
		inside := i > 0 && i < len(text)-1
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-+=,@", r) ||
			inside && (r == '.' || r == ' ') {
			b.WriteRune(r)
			continue
		}
		for _, c := range []byte(string(r)) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// FolderLabel returns the text of which name is the FolderName, or name, where it is that of none.
func FolderLabel(name string) string {
	if text, err := url.PathUnescape(name); err == nil && FolderName(text) == name {
		return text
	}
	return name
}

// FileName returns at most 80 bytes of the FolderName of a text, as a part of a file's name, which has at most 255.
func FileName(text string) string {
	name := FolderName(text)
	return strings.ToValidUTF8(name[:min(len(name), 80)], "")
}
