package program

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// decodeString takes an argument as it is. kong's own mapper makes U+FFFD of bytes that are not UTF-8, which file names
// may have.
func decodeString(ctx *kong.DecodeContext, target reflect.Value) error {
	t, err := ctx.Scan.PopValue("string")
	if err == nil {
		target.SetString(fmt.Sprint(t.Value))
	}
	return err
}

// decodePath is decodeString for flags of the type path, which are made absolute, and for lists of these.
func decodePath(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	err := decodeString(ctx, reflect.ValueOf(&text).Elem())
	switch {
	case err != nil:
		return err
	case target.Kind() == reflect.Slice:
		for _, path := range splitList(text) {
			target.Set(reflect.Append(target, reflect.ValueOf(kong.ExpandPath(path))))
		}
	case text == "" || text == "-":
		target.SetString(text)
	default:
		target.SetString(kong.ExpandPath(text))
	}
	return nil
}

// splitList splits at commas that have no backslash before them.
func splitList(text string) (list []string) {
	for part := range strings.SplitSeq(text, ",") {
		if n := len(list) - 1; n >= 0 && strings.HasSuffix(list[n], `\`) {
			list[n] = strings.TrimSuffix(list[n], `\`) + "," + part
		} else {
			list = append(list, part)
		}
	}
	return list
}
