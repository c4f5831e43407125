package program

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/polyphon/polyphon/models"
)

// completeCommand is the hidden command that the scripts for shells run. Its arguments are the words of a command line
// after the program's name, up to the one that is being typed. It prints an answer, a line each.
const completeCommand = "__complete"

// answer says what the word that is being typed may become: first one of noPaths, files and folders, the names of the
// file system that are possible, then words, each with a tab and its help.
type answer []string

const (
	noPaths = "none"
	files   = "files"
	folders = "folders"
)

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
		return answer{noPaths}
	case !c.ended && strings.HasPrefix(word, "-"):
		return c.flags(word)
	}
	return c.argument(word)
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

// flag returns the flag that is written so, or nil.
func (c *completer) flag(written string) *kong.Flag {
	for _, f := range c.allFlags() {
		if written == "--"+f.Name || f.Short != 0 && written == "-"+string(f.Short) {
			return f
		}
	}
	return nil
}

// allFlags returns the flags of the command and of those that it is part of.
func (c *completer) allFlags() []*kong.Flag { return slices.Concat(c.node.AllFlags(false)...) }

// flags suggests the flags that begin with word and have not been given.
func (c *completer) flags(word string) answer {
	a := answer{noPaths}
	for _, f := range c.allFlags() {
		if !f.Hidden && strings.HasPrefix("--"+f.Name, word) && (!c.used[f] || f.IsCumulative()) {
			a = append(a, "--"+f.Name+"\t"+f.Help)
		}
	}
	return a
}

// argument suggests commands and what the next argument may be.
func (c *completer) argument(word string) answer {
	a := answer{noPaths}
	if at := min(c.positional, len(c.node.Positional)-1); at >= 0 {
		if v := c.node.Positional[at]; at == c.positional || v.IsCumulative() {
			a = valuesOf(v, "", word)
		}
	}
	for _, child := range c.node.Children {
		if c.positional == 0 && !child.Hidden && strings.HasPrefix(child.Name, word) {
			a = append(a, child.Name+"\t"+child.Help)
		}
	}
	return a
}

// valuesOf suggests the values that begin with typed, each after prefix.
func valuesOf(v *kong.Value, prefix, typed string) answer {
	name := v.Name
	if v.Flag != nil {
		name = v.Flag.PlaceHolder
	}
	var words []string
	a := answer{noPaths}
	switch name {
	case "DIR":
		a = answer{folders}
	case "FILE", "path":
		a = answer{files}
	case "MODEL", "model":
		a, words = answer{files}, models.Names
	}
	if v.Enum != "" {
		words = v.EnumSlice()
	}
	if at := strings.LastIndexByte(typed, ','); v.IsSlice() && v.Flag != nil {
		prefix, typed = prefix+typed[:at+1], typed[at+1:] // the list's next element
	}
	for _, word := range words {
		if strings.HasPrefix(word, typed) {
			a = append(a, prefix+word+"\t")
		}
	}
	return a
}
