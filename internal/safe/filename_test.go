package safe

import "testing"

// TestFolderLabel turns names of folders back into the labels that they were made of, and no others.
func TestFolderLabel(t *testing.T) {
	for _, label := range []string{
		"left", "o'clock", "a/b", "..", "100 %", "%41", "tap, \"hot\"", "日本語", "a\nb", " ", "💥", "é.", "%2525", "",
	} {
		if name := FolderName(label); FolderLabel(name) != label {
			t.Errorf("%q becomes %q, and that %q", label, name, FolderLabel(name))
		}
	}
	for _, name := range []string{"%41", "a%2fb", "o'clock", "100%", "%zz", "a b%", "%FF%", "%2E%2Ex/"} {
		if FolderLabel(name) != name {
			t.Errorf("%q, which no label becomes, is taken for %q", name, FolderLabel(name))
		}
	}
}
