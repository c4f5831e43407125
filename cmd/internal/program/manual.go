package program

import (
	_ "embed"
	"strings"
	"text/template"

	"github.com/alecthomas/kong"
)

// Manual is the command that prints the program's manual page, in the man macros of roff (man(7)).
type Manual struct{}

//go:embed manual.tmpl
var manualText string

// manualCommand is a command in the page, with the words that call it.
type manualCommand struct {
	*kong.Node
	Call string
}

// Run prints the page.
func (Manual) Run(ctx *kong.Context, p *Program) error {
	root := merged(ctx.Model.Node)
	var commands []manualCommand
	for _, command := range root.Leaves(true) {
		commands = append(commands, manualCommand{command, p.Name + " " + command.Path()})
	}
	synopses := commands
	if command := ctx.Model.DefaultCmd; command != nil {
		synopses = append([]manualCommand{{command, p.Name}}, commands...)
	}
	date, _, _ := strings.Cut(setting("vcs.time"), "T")
	page := template.Must(template.New("man").Funcs(template.FuncMap{
		"upper": strings.ToUpper, "escape": escape, "line": line, "help": kong.DefaultHelpValueFormatter,
		"lines": func(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") },
		"term":  func(tag, text string) string { return ".TP\n\\fB" + escape(tag) + "\\fR\n" + line(text) },
	}).Parse(manualText))
	return page.Execute(ctx.Stdout, map[string]any{
		"Program": p, "Root": root, "Synopses": synopses, "Commands": commands, "Date": date, "Version": Version(),
		"Name": strings.ToLower(p.Does[:1]) + strings.TrimSuffix(p.Does[1:], "."),
	})
}

// line returns an escaped line, whose first character must not make it a request.
func line(text string) string {
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		return `\&` + escape(text)
	}
	return escape(text)
}

// escape replaces the characters that roff would interpret, and hyphens, which it would typeset as dashes.
var escape = strings.NewReplacer(
	`\`, `\e`, `-`, `\-`, `"`, `\(dq`, `'`, `\(aq`, "`", `\(ga`, `~`, `\(ti`, `^`, `\(ha`, "\n", " ",
).Replace
