package program

import (
	"embed"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// scripts make shells call the program, which they name PROGRAM, for completions.
//
//go:embed shells
var scripts embed.FS

// Completion is the command that prints the script with which a shell completes the program's command lines.
type Completion struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell: bash, zsh or fish."`
}

// Run prints the script.
func (c Completion) Run(ctx *kong.Context) error {
	script, err := scripts.ReadFile("shells/" + c.Shell)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(ctx.Stdout, strings.ReplaceAll(string(script), "PROGRAM", ctx.Model.Name))
	return err
}
