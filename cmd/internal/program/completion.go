package program

import (
	"embed"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// scripts teach the shells to ask the program, named PROGRAM in them, what may stand on its command line.
//
//go:embed shells
var scripts embed.FS

// Completion is the command that prints the script which completes the program's command lines in a shell. The script's
// first line says where it belongs.
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
