package program

import (
	"bufio"
	"strings"

	"github.com/alecthomas/kong"
)

// Manual is the command that prints the program's manual page, in the man macros of roff (man(7)).
type Manual struct{}

// Run prints the page.
func (Manual) Run(ctx *kong.Context, p *Program) error {
	m := manual{bufio.NewWriter(ctx.Stdout)}
	m.page(p, ctx.Model)
	return m.Flush()
}

// manual writes a page.
type manual struct{ *bufio.Writer }

func (m manual) page(p *Program, app *kong.Application) {
	root := merged(app.Node)
	m.macro("TH", strings.ToUpper(p.Name), "1", date(), "polyphon "+Version(), "User Commands")
	m.macro("SH", "NAME")
	m.line(escape(p.Name) + ` \- ` + escape(strings.ToLower(p.Does[:1])+strings.TrimSuffix(p.Does[1:], ".")))
	m.macro("SH", "SYNOPSIS")
	if app.DefaultCmd != nil {
		m.synopsis(p, app.DefaultCmd, "")
	}
	for _, command := range root.Leaves(true) {
		m.synopsis(p, command, command.Path())
	}
	m.macro("SH", "DESCRIPTION")
	m.text(p.Does)
	m.macro("SH", "OPTIONS")
	m.parameters(root)
	m.macro("SH", "COMMANDS")
	for _, command := range root.Leaves(true) {
		m.macro("SS", p.Name+" "+command.Path())
		m.text(command.Help)
		if command.Detail != "" {
			m.verbatim(command.Detail)
		}
		m.parameters(command)
	}
	m.table("EXIT STATUS", p.Statuses)
	m.table("ENVIRONMENT", p.Environment)
	m.macro("SH", "EXAMPLES")
	for _, e := range p.Examples {
		m.text(e[1] + ":")
		m.verbatim(e[0])
	}
}

// verbatim writes a text that keeps its line breaks.
func (m manual) verbatim(text string) {
	m.macro("PP")
	m.macro("RS", "4")
	m.macro("EX")
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		m.line(escape(line))
	}
	m.macro("EE")
	m.macro("RE")
}

// synopsis writes how a command is called.
func (m manual) synopsis(p *Program, command *kong.Node, path string) {
	m.macro("SY", strings.TrimSpace(p.Name+" "+path))
	for _, f := range command.Flags {
		if f.Required {
			m.line(escape(f.Summary()))
		}
	}
	if len(command.Flags) > 0 {
		m.line(`[\fIflags\fR]`)
	}
	for _, argument := range command.Positional {
		m.line(escape(argument.Summary()))
	}
	m.macro("YS")
}

// parameters lists arguments, and flags under the titles of their groups.
func (m manual) parameters(command *kong.Node) {
	for _, argument := range command.Positional {
		m.term(argument.Summary(), argument.Help)
	}
	group := ""
	for _, f := range command.Flags {
		if f.Hidden {
			continue
		}
		if f.Group != nil && f.Group.Title != group {
			group = f.Group.Title
			m.macro("PP")
			m.line(`\fI` + escape(group) + `\fR`)
		}
		m.term(f.String(), kong.DefaultHelpValueFormatter(f.Value))
	}
}

func (m manual) table(title string, rows [][2]string) {
	m.macro("SH", title)
	for _, row := range rows {
		m.term(row[0], row[1])
	}
}

// term writes a tagged paragraph.
func (m manual) term(tag, text string) {
	m.macro("TP")
	m.line(`\fB` + escape(tag) + `\fR`)
	m.text(text)
}

func (m manual) text(text string) { m.line(escape(text)) }

// macro writes a request with quoted arguments.
func (m manual) macro(name string, arguments ...string) {
	m.WriteString("." + name)
	for _, a := range arguments {
		m.WriteString(` "` + escape(a) + `"`)
	}
	m.WriteByte('\n')
}

// line writes a line of text, whose first character must not make it a request.
func (m manual) line(text string) {
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	m.WriteString(text + "\n")
}

// escape replaces the characters that roff would interpret, and hyphens, which it would typeset as dashes.
var escape = strings.NewReplacer(
	`\`, `\e`, `-`, `\-`, `"`, `\(dq`, `'`, `\(aq`, "`", `\(ga`, `~`, `\(ti`, `^`, `\(ha`, "\n", " ",
).Replace
