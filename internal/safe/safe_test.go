package safe

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestNames(t *testing.T) {
	for _, c := range []struct{ name, text, field, json string }{
		{"left.wav", "left.wav", "left.wav", `"left.wav"`},
		{`C:\rec\a "b".wav`, `C:\rec\a "b".wav`, `C:\rec\a "b".wav`, `"C:\\rec\\a \"b\".wav"`},
		{"Grüße 日本語 👩\u200d💻", "Grüße 日本語 👩\u200d💻", "Grüße 日本語 👩\u200d💻",
			"\"Grüße 日本語 👩\u200d💻\""},
		{"e\u0301, no-break\u00a0space", "e\u0301, no-break\u00a0space", "e\u0301, no-break\u00a0space",
			"\"e\u0301, no-break\u00a0space\""},

		// Bytes that are not UTF-8: Latin-1, a cut character, a surrogate of Windows, an overlong slash.
		{"caf\xe9.wav", `caf\xe9.wav`, "caf\ufffdE9.wav", "\"caf\ufffdE9.wav\""},
		{"\xe6\x97.wav", `\xe6\x97.wav`, "\ufffdE6\ufffd97.wav", "\"\ufffdE6\ufffd97.wav\""},
		{"\xed\xa0\x80", `\xed\xa0\x80`, "\ufffdED\ufffdA0\ufffd80", "\"\ufffdED\ufffdA0\ufffd80\""},
		{"\xc0\xaf", `\xc0\xaf`, "\ufffdC0\ufffdAF", "\"\ufffdC0\ufffdAF\""},
		{"caf\ufffdE9.wav", "caf\ufffdE9.wav", "caf\ufffdEF\ufffdBF\ufffdBDE9.wav",
			"\"caf\ufffdEF\ufffdBF\ufffdBDE9.wav\""},

		// Control characters: lines, escape sequences of seven and eight bits, a bell.
		{"a\nb\tc\rd", `a\nb\tc\rd`, "a\ufffd0Ab\ufffd09c\ufffd0Dd", `"a\u000ab\u0009c\u000dd"`},
		{"\x1b[31mred", `\x1b[31mred`, "\ufffd1B[31mred", `"\u001b[31mred"`},
		{"\u009b2J", `\u009b2J`, "\ufffdC2\ufffd9B2J", `"\u009b2J"`},
		{"\x1b]0;title\a\x7f\x00", `\x1b]0;title\a\x7f\x00`, "\ufffd1B]0;title\ufffd07\ufffd7F\ufffd00",
			`"\u001b]0;title\u0007\u007f\u0000"`},

		// What turns text around or hides it.
		{"\u202evaw.tfel", `\u202evaw.tfel`, "\ufffdE2\ufffd80\ufffdAEvaw.tfel", `"\u202evaw.tfel"`},
		{"a\u2066b\u2069", `a\u2066b\u2069`, "a\ufffdE2\ufffd81\ufffdA6b\ufffdE2\ufffd81\ufffdA9", `"a\u2066b\u2069"`},
		{"a\u2028b\ufeff", `a\u2028b\ufeff`, "a\ufffdE2\ufffd80\ufffdA8b\ufffdEF\ufffdBB\ufffdBF", `"a\u2028b\ufeff"`},
		{"\U000e0041", `\U000e0041`, "\ufffdF3\ufffdA0\ufffd81\ufffd81", `"\udb40\udc41"`},

		// Formulas.
		{"=1+1", "=1+1", "\ufffd3D1+1", `"=1+1"`},
		{"+x.wav", "+x.wav", "\ufffd2Bx.wav", `"+x.wav"`},
		{"-x.wav", "-x.wav", "\ufffd2Dx.wav", `"-x.wav"`},
		{"@SUM(A1)", "@SUM(A1)", "\ufffd40SUM(A1)", `"@SUM(A1)"`},
		{"-", "-", "-", `"-"`}, {"a=1", "a=1", "a=1", `"a=1"`}, {"", "", "", `""`},
		{"\t=1", `\t=1`, "\ufffd09=1", `"\u0009=1"`},
	} {
		if got := Text(c.name); got != c.text {
			t.Errorf("text of %+q: %+q, want %+q", c.name, got, c.text)
		}
		if got := Field(c.name); got != c.field {
			t.Errorf("field of %+q: %+q, want %+q", c.name, got, c.field)
		}
		got, err := json.Marshal(String(c.name))
		if err != nil || string(got) != c.json {
			t.Errorf("JSON of %+q: %+q and %v, want %+q", c.name, got, err, c.json)
		}
		check(t, c.name)
	}
}

func TestList(t *testing.T) {
	for want, names := range map[string][]string{
		"": nil, "a|b c": {"a", "b c"}, "a\ufffd7Cb|c": {"a|b", "c"}, "\ufffd3D1+1|\ufffd2Dx": {"=1+1", "-x"},
		"\ufffd7C\ufffd7C|\ufffd0A": {"||", "\n"},
	} {
		if got := List('|', names...); got != want {
			t.Errorf("list of %q: %+q, want %+q", names, got, want)
		}
		var parts []string
		for part := range strings.SplitSeq(want, "|") {
			parts = append(parts, back(part))
		}
		if strings.Join(parts, "\x00") != strings.Join(names, "\x00") {
			t.Errorf("%+q gives back %q, want %q", want, parts, names)
		}
	}
}

// escaped is what docs/output.md says of the escapes.
var escaped = regexp.MustCompile("\ufffd[0-9A-F]{2}")

func back(s string) string {
	return escaped.ReplaceAllStringFunc(s, func(e string) string {
		b, err := hex.DecodeString(strings.TrimPrefix(e, "\ufffd"))
		if err != nil {
			panic(err)
		}
		return string(b)
	})
}

// check gets a name back from each form that is for programs, and looks for what must not be in any.
func check(t *testing.T, name string) {
	t.Helper()
	text, err := json.Marshal(String(name))
	if err != nil {
		t.Fatal(err)
	}
	var parsed string
	if err := json.Unmarshal(text, &parsed); err != nil {
		t.Fatalf("%+q: %v", text, err)
	}
	var again String
	if err := json.Unmarshal(text, &again); err != nil || string(again) != name {
		t.Errorf("%+q: %+q gives %+q, %v", name, text, again, err)
	}
	for _, form := range []string{parsed, Name(name), Field(name)} {
		if back(form) != name {
			t.Errorf("%+q: %+q becomes %+q", name, form, back(form))
		}
	}
	for _, form := range []string{Text(name), Name(name), Field(name), string(text)} {
		bad := func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }
		if strings.ContainsFunc(form, bad) || !utf8.ValidString(form) {
			t.Errorf("%+q becomes %+q", name, form)
		}
	}
}

func TestWriteJSON(t *testing.T) {
	var b strings.Builder
	err := WriteJSON(&b, map[string]any{"a<\u009b": []string{"\u202e\n", "\xff", "é"}, "b": String("\xff\U000e0041")})
	want := "{\n  \"a<\\u009b\": [\n    \"\\u202e\\n\",\n    \"\\ufffd\",\n    \"é\"\n  ],\n" +
		"  \"b\": \"\ufffdFF\\udb40\\udc41\"\n}\n"
	if err != nil || b.String() != want {
		t.Errorf("%v, %q, want %q", err, b.String(), want)
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{
		"a", "\xff\ufffd", "\ufffd0A", "=\x1b[2J", "\u202e\\\"", "\xed\xa0\x80\xf4\x90\x80\x80",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) { check(t, name) })
}

type named string

func TestFprintf(t *testing.T) {
	var b strings.Builder
	Fprintf(&b, "train: %s: %v, %v %d %q\n", "a\nb", errors.New("no\rway"), named("a\x1bb"), 3, "\u202e")
	if want := `train: a\nb: no\rway, a\x1bb 3 "\\u202e"` + "\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	Fprintf(&b, "%v %s", nil, []byte("x"))
}
