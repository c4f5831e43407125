// Package safe writes names that may contain anything, those of files and of a model's labels above all: for people,
// so that a terminal shows them and does nothing else, and for programs, so that different names stay different.
package safe

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns a text for a terminal: control characters, line ends, what changes the direction of writing or cannot be
// seen, and bytes that are not UTF-8 become the escapes of Go strings (\n, \x1b, \u202e, \xff). It is for people: a
// backslash stays one.
func Text(s string) string {
	return replace(s, func(b *strings.Builder, r rune, bytes string) {
		if invalid(r, bytes) {
			fmt.Fprintf(b, `\x%02x`, bytes[0])
			return
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}, plain)
}

// Fprintf is fmt.Fprintf for a terminal: the format is as it is, and strings and errors among the arguments become
// Text.
func Fprintf(w io.Writer, format string, args ...any) (int, error) {
	return io.WriteString(w, Sprintf(format, args...))
}

// Sprintf returns what Fprintf writes.
func Sprintf(format string, args ...any) string {
	safe := make([]any, len(args))
	for i, arg := range args {
		safe[i] = arg
		if err, ok := arg.(error); ok {
			safe[i] = Text(err.Error())
		} else if v := reflect.ValueOf(arg); v.Kind() == reflect.String {
			safe[i] = Text(v.String())
		}
	}
	return fmt.Sprintf(format, safe...)
}

// mark and two hexadecimal digits, in capitals, stand for a byte. Where the mark itself is in a name, its three bytes
// are written that way. So names that are valid UTF-8 and contain no U+FFFD stay as they are, backslashes included, and
// every name can be had back.
const mark = utf8.RuneError // U+FFFD, which no name contains but by mistake

func writeBytes(b *strings.Builder, _ rune, bytes string) {
	for i := range len(bytes) {
		fmt.Fprintf(b, "%c%02X", mark, bytes[i])
	}
}

// Name returns a text for a line of a file: the bytes of all that Text replaces, and of the mark, become the mark and
// their digits.
func Name(s string) string {
	return replace(s, writeBytes, func(r rune, bytes string) bool { return plain(r, bytes) && r != mark })
}

// Field returns Name for a field of a CSV file. Where spreadsheets would take it for a formula, because it begins with
// one of = + - @ and has more than that, its first byte is written as the mark and its digits, too.
func Field(s string) string { return field(s, mark) }

// field is Field that also writes a separator as the mark and its digits.
func field(s string, separator rune) string {
	name := replace(s, writeBytes, func(r rune, bytes string) bool {
		return plain(r, bytes) && r != mark && r != separator
	})
	if len(name) > 1 && strings.ContainsRune("=+-@", rune(name[0])) {
		return fmt.Sprintf("%c%02X%s", mark, name[0], name[1:])
	}
	return name
}

// Fields returns the Field of each.
func Fields(list ...string) []string {
	fields := make([]string, len(list))
	for i, s := range list {
		fields[i] = Field(s)
	}
	return fields
}

// List returns the Fields of names, with a separator between that is written, in names, as the mark and its digits.
func List(separator rune, names ...string) string {
	fields := make([]string, len(names))
	for i, s := range names {
		fields[i] = field(s, separator)
	}
	return strings.Join(fields, string(separator))
}

// String is a string that keeps, in JSON, what is not UTF-8 as the mark and its digits. In the JSON text all that Text
// replaces is escaped (\u001b, \u202e), which parsers undo.
type String string

// MarshalJSON implements json.Marshaler.
func (s String) MarshalJSON() ([]byte, error) {
	return []byte(`"` + replace(string(s), func(b *strings.Builder, r rune, bytes string) {
		switch r {
		case mark:
			writeBytes(b, r, bytes)
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			writeUnicode(b, r, bytes)
		}
	}, func(r rune, bytes string) bool { return plain(r, bytes) && r != mark && r != '"' && r != '\\' }) + `"`), nil
}

// escape is a byte as Name, Field and String have it.
var escape = regexp.MustCompile(string(mark) + "[0-9A-F]{2}")

// UnmarshalJSON implements json.Unmarshaler: it gives what MarshalJSON was given.
func (s *String) UnmarshalJSON(text []byte) error {
	var name string
	if err := json.Unmarshal(text, &name); err != nil {
		return err
	}
	*s = String(escape.ReplaceAllStringFunc(name, func(e string) string {
		b, _ := strconv.ParseUint(strings.TrimPrefix(e, string(mark)), 16, 8)
		return string([]byte{byte(b)})
	}))
	return nil
}

// writeUnicode writes an escape of JSON.
func writeUnicode(b *strings.Builder, r rune, _ string) {
	for _, unit := range utf16.AppendRune(nil, r) {
		fmt.Fprintf(b, `\u%04x`, unit)
	}
}

// WriteJSON writes v in JSON, indented. In strings of other types than String, what is not UTF-8 becomes U+FFFD.
func WriteJSON(w io.Writer, v any) error {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, replace(text.String(), writeUnicode, func(r rune, bytes string) bool {
		return plain(r, bytes) || r == '\n' // between values
	}))
	return err
}

// replace returns s with what is not kept as write writes it: a rune and its bytes, or mark and a byte that is none.
func replace(
	s string, write func(b *strings.Builder, r rune, bytes string), keep func(r rune, bytes string) bool,
) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if keep(r, s[:n]) {
			b.WriteString(s[:n])
		} else {
			write(&b, r, s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// invalid reports whether bytes are one that is not UTF-8, as which r was decoded.
func invalid(r rune, bytes string) bool { return r == utf8.RuneError && len(bytes) == 1 }

// plain reports whether a terminal shows a rune and does nothing else. Joiners belong to words of some scripts.
func plain(r rune, bytes string) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	shown := unicode.IsPrint(r) || unicode.Is(unicode.Zs, r) || r == nonJoiner || r == joiner
	return shown && !invalid(r, bytes)
}
