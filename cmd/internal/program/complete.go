package program

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// completeCommand is the hidden command that the shells' scripts ask. Its arguments are the words of a command line behind
// the program's name, up to the one that is being typed. See answer for what it prints.
const completeCommand = "__complete"

// answer is what may stand in place of the word that is being typed.
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

// write prints the kind of paths on one line and each suggestion on a line of its own, word and help with a tab between.
func (a answer) write(w io.Writer) {
	fmt.Fprintln(w, a.paths)
	for _, s := range a.values {
		help, _, _ := strings.Cut(s.help, "\n")
		fmt.Fprintf(w, "%s\t%s\n", s.word, help)
	}
}

// completer follows a command line through the grammar.
type completer struct {
	node       *kong.Node // the command so far
	positional int        // arguments so far
	ended      bool       // by "--": no more flags
	pending    *kong.Flag // waits for its value
	used       map[*kong.Flag]bool
}

func newCompleter(app *kong.Application) *completer {
	return &completer{node: merged(app.Node), used: map[*kong.Flag]bool{}}
}

// complete answers for the last one of the words.
func (c *completer) complete(words []string) answer {
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

// follow takes in a word that is complete.
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

// command returns the command of that name, where one may stand.
func (c *completer) command(name string) *kong.Node {
	for _, child := range c.node.Children {
		if c.positional == 0 && child.Name == name {
			return child
		}
	}
	return nil
}

// flag returns the flag that is written like that, or nil.
func (c *completer) flag(written string) *kong.Flag {
	for _, f := range c.allFlags() {
		if written == "--"+f.Name || f.Short != 0 && written == "-"+string(f.Short) {
			return f
		}
	}
	return nil
}

// allFlags returns the flags of the command and of those above it.
func (c *completer) allFlags() []*kong.Flag {
	list := c.node.Flags
	if c.node.Parent != nil {
		list = append(append([]*kong.Flag{}, list...), c.node.Parent.Flags...)
	}
	return list
}

// flags suggests the flags that begin like word and are not there yet.
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
	if at := min(c.positional, len(c.node.Positional)-1); at >= 0 && (at == c.positional || c.node.Positional[at].IsCumulative()) {
		a = valuesOf(c.node.Positional[at], "", word)
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

// valuesOf suggests values that begin like typed, each with prefix in front.
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

// pathsOf tells from a value's definition whether it is a path: by its type, or by its name in the help.
func pathsOf(v *kong.Value) paths {
	name := v.Name
	if v.Flag != nil {
		name = v.Flag.PlaceHolder
	}
	switch {
	case name == "DIR" || v.Tag.Type == "existingdir":
		return folders
	case name == "FILE" || name == "path" || v.Tag.Type == "path" || v.Tag.Type == "existingfile":
		return files
	}
	return noPaths
}
