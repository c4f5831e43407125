package program

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completeCommand is the hidden command that the scripts for shells run. Its arguments are the words of a command line
// after the program's name, up to the one that is being typed. See complete.
const completeCommand = "__complete"

// completer is the state of parsing a command line that need not be complete.
type completer struct {
	out        io.Writer
	node       *kong.Node // the command so far
	positional int        // arguments so far
	ended      bool       // by "--": no more flags
	pending    *kong.Flag // the next word is its value
	used       map[*kong.Flag]bool
}

// complete prints what the last of the words may become: a line that says which names of the file system, "files",
// "folders" or "none", and then a line per suggestion: word, tab, help.
func complete(out io.Writer, app *kong.Application, words []string) {
	c := completer{out: out, node: merged(app.Node), used: map[*kong.Flag]bool{}}
	last := len(words) - 1
	for _, word := range words[:last] {
		c.follow(word)
	}
	word := words[last]
	name, value, assigned := strings.Cut(word, "=")
	switch {
	case c.pending != nil:
		c.values(c.pending.Value, "", word)
	case !c.ended && assigned && strings.HasPrefix(word, "--"):
		if f := c.flag(name); f != nil {
			c.values(f.Value, name+"=", value)
		} else {
			c.values(nil, "", "")
		}
	case !c.ended && strings.HasPrefix(word, "-"):
		c.flags(word)
	default:
		c.argument(word)
	}
}

// follow parses a complete word.
func (c *completer) follow(word string) {
	name, _, assigned := strings.Cut(word, "=")
	switch {
	case c.pending != nil:
		c.pending = nil
	case c.ended || word == "-" || !strings.HasPrefix(word, "-"):
		at := slices.IndexFunc(c.node.Children, func(n *kong.Node) bool { return n.Name == word })
		if at >= 0 && c.positional == 0 {
			c.node = c.node.Children[at]
		} else {
			c.positional++
		}
	case word == "--":
		c.ended = true
	default:
		if f := c.flag(name); f != nil {
			c.used[f] = true
			if !assigned && !f.IsBool() {
				c.pending = f
			}
		}
	}
}

// allFlags returns the flags of the command and of those that it is part of.
func (c *completer) allFlags() []*kong.Flag { return slices.Concat(c.node.AllFlags(false)...) }

// flag returns the flag that is written so, or nil.
func (c *completer) flag(written string) *kong.Flag {
	for _, f := range c.allFlags() {
		if written == "--"+f.Name || f.Short != 0 && written == "-"+string(f.Short) {
			return f
		}
	}
	return nil
}

func (c *completer) suggest(word, help string) { fmt.Fprintf(c.out, "%s\t%s\n", word, help) }

// flags suggests the flags that begin with word and have not been given.
func (c *completer) flags(word string) {
	c.values(nil, "", "")
	for _, f := range c.allFlags() {
		if !f.Hidden && strings.HasPrefix("--"+f.Name, word) && (!c.used[f] || f.IsCumulative()) {
			c.suggest("--"+f.Name, f.Help)
		}
	}
}

// argument suggests what the next argument may be, and commands.
func (c *completer) argument(word string) {
	var next *kong.Value
	if at := min(c.positional, len(c.node.Positional)-1); at >= 0 {
		if v := c.node.Positional[at]; at == c.positional || v.IsCumulative() {
			next = v
		}
	}
	c.values(next, "", word)
	for _, child := range c.node.Children {
		if c.positional == 0 && !child.Hidden && strings.HasPrefix(child.Name, word) {
			c.suggest(child.Name, child.Help)
		}
	}
}

// values prints which paths v can be, according to its name in the help, and suggests its values that begin with typed,
// each after prefix. A nil v has none.
func (c *completer) values(v *kong.Value, prefix, typed string) {
	paths, enum := "none", []string(nil)
	if v != nil {
		name := v.Name
		if v.Flag != nil {
			name = v.Flag.PlaceHolder
		}
		switch name {
		case "DIR":
			paths = "folders"
		case "FILE", "path":
			paths = "files"
		}
		if v.Enum != "" {
			enum = v.EnumSlice()
		}
	}
	fmt.Fprintln(c.out, paths)
	for _, value := range enum {
		if strings.HasPrefix(value, typed) {
			c.suggest(prefix+value, "")
		}
	}
}
