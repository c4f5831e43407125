package program

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completeCommand is the hidden command that the scripts for shells run. Its arguments are the words of a command line
// after the program's name, up to the one that is being typed. It prints an answer.
const completeCommand = "__complete"

// answer says what the word that is being typed may become.
type answer struct {
	paths  paths
	values []suggestion
}

// paths says which names of the file system are among the answers.
type paths string

const (
	noPaths paths = "none"
	files   paths = "files"
	folders paths = "folders"
)

type suggestion struct{ word, help string }

// write prints the kind of paths and then a line per suggestion: word, tab, help.
func (a answer) write(w io.Writer) {
	fmt.Fprintln(w, a.paths)
	for _, s := range a.values {
		fmt.Fprintf(w, "%s\t%s\n", s.word, s.help)
	}
}

// completer is the state of parsing a command line that need not be complete.
type completer struct {
	node       *kong.Node // the command so far
	positional int        // arguments so far
	ended      bool       // by "--": no more flags
	pending    *kong.Flag // the next word is its value
	used       map[*kong.Flag]bool
}

// complete returns the answer for the last of the words.
func complete(app *kong.Application, words []string) answer {
	c := completer{node: merged(app.Node), used: map[*kong.Flag]bool{}}
	last := len(words) - 1
	for _, word := range words[:last] {
		c.follow(word)
	}
	word := words[last]
	name, value, assigned := strings.Cut(word, "=")
	switch {
	case c.pending != nil:
		return valuesOf(c.pending.Value, "", word)
	case !c.ended && assigned && strings.HasPrefix(word, "--"):
		if f := c.flag(name); f != nil {
			return valuesOf(f.Value, name+"=", value)
		}
	case !c.ended && strings.HasPrefix(word, "-"):
		return c.flags(word)
	default:
		return c.argument(word)
	}
	return answer{paths: noPaths}
}

// follow parses a complete word.
func (c *completer) follow(word string) {
	name, _, assigned := strings.Cut(word, "=")
	switch {
	case c.pending != nil:
		c.pending = nil
	case c.ended || word == "-" || !strings.HasPrefix(word, "-"):
		if command := c.command(word); command != nil {
			c.node, c.positional = command, 0
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

// command returns the command of that name, or nil where there can be none.
func (c *completer) command(name string) *kong.Node {
	for _, child := range c.node.Children {
		if c.positional == 0 && child.Name == name {
			return child
		}
	}
	return nil
}

// flag returns the flag that is written so, or nil.
func (c *completer) flag(written string) *kong.Flag {
	for _, f := range c.allFlags() {
		if written == "--"+f.Name || f.Short != 0 && written == "-"+string(f.Short) {
			return f
		}
	}
	return nil
}

// allFlags returns the flags of the command and of its parent.
func (c *completer) allFlags() []*kong.Flag {
	if c.node.Parent == nil {
		return c.node.Flags
	}
	return slices.Concat(c.node.Flags, c.node.Parent.Flags)
}

// flags suggests the flags that begin with word and have not been given.
func (c *completer) flags(word string) answer {
	a := answer{paths: noPaths}
	for _, f := range c.allFlags() {
		if !f.Hidden && strings.HasPrefix("--"+f.Name, word) && (!c.used[f] || f.IsCumulative()) {
			a.values = append(a.values, suggestion{"--" + f.Name, f.Help})
		}
	}
	return a
}

// argument suggests commands and what the next argument may be.
func (c *completer) argument(word string) answer {
	a := answer{paths: noPaths}
	if at := min(c.positional, len(c.node.Positional)-1); at >= 0 {
		if v := c.node.Positional[at]; at == c.positional || v.IsCumulative() {
			a = valuesOf(v, "", word)
		}
	}
	if c.positional > 0 {
		return a
	}
	for _, child := range c.node.Children {
		if !child.Hidden && strings.HasPrefix(child.Name, word) {
			a.values = append(a.values, suggestion{child.Name, child.Help})
		}
	}
	return a
}

// valuesOf suggests the values that begin with typed, each after prefix.
func valuesOf(v *kong.Value, prefix, typed string) answer {
	a := answer{paths: pathsOf(v)}
	if v.Enum == "" {
		return a
	}
	for _, value := range v.EnumSlice() {
		if strings.HasPrefix(value, typed) {
			a.values = append(a.values, suggestion{prefix + value, ""})
		}
	}
	return a
}

// pathsOf says which paths a value can be, according to its name in the help.
func pathsOf(v *kong.Value) paths {
	name := v.Name
	if v.Flag != nil {
		name = v.Flag.PlaceHolder
	}
	switch name {
	case "DIR":
		return folders
	case "FILE", "path":
		return files
	}
	return noPaths
}
