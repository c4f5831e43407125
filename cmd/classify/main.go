// Command classify says which sounds are in recordings and in live sound.
//
//	classify [flags] FILE|DIR|- ...
//	classify --stream [flags]
//	classify listen [flags]
//	classify serve [flags]
//	classify doctor [flags]
package main

import (
	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/polynet"
)

// commands are what the program does. Without the name of another command, it classifies.
type commands struct {
	Classify         cli      `cmd:"" name:"classify files" default:"withargs"`
	Listen           recorder `cmd:"" help:"Report the events of what a microphone records."`
	Serve            server   `cmd:"" help:"Answer over HTTP and WebSockets, with a page for browsers."`
	Doctor           doctor   `cmd:"" help:"Test what classify computes with, and say what to do about what is wrong."`
	program.Commands `embed:""`
}

var this = program.Program{
	Name: "classify",
	Does: "Says which sounds are in recordings and in live sound.",
	Statuses: [][2]string{
		{"0", "Every input was classified."},
		{"1", "Some inputs failed, each named on standard error; the others were classified. " +
			"Also: the results could not be written, or a command of --exec was cut off at the end."},
		{"2", "Wrong usage; nothing was classified."},
		{"3", "The model or the device cannot be used; nothing was classified."},
		{"130", "Interrupted; what had been finished was written. A second signal ends it at once."},
	},
	Environment: computing.Environment,
	Examples: [][2]string{
		{"classify rec.wav other.flac", "One readable line a file"},
		{"classify --top 3 --format csv folder/", "A folder and those below it, as a table"},
		{"arecord -q -t raw -f S16_LE -r 16000 -c 1 | classify --stream", "Words as they are spoken"},
		{"classify listen", "The same of the computer's microphone, on Linux"},
		{"classify --format audacity talk.wav > labels.txt", "A label track of a recording"},
		{"classify --out results folder/", "A result file for each, and only for those that have none"},
		{"classify --sort sorted folder/", "A copy of each file in a folder named after its label"},
		{"classify serve", "The same in a browser and for other programs, at http://127.0.0.1:8080"},
		{"classify --save clips talk.wav", "The sound of each event as a WAV file, in a folder per label"},
	},
	Texts: texts,
	Usage: []error{polynet.ErrConfig, detect.ErrConfig},
}

func main() { this.Main(&commands{}) }
