package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// grammar is that of a program with a default command.
type grammar struct {
	Sing   singCmd `cmd:"" name:"sing songs" default:"withargs"`
	Fail   failCmd `cmd:"" help:"Fail."`
	Secret failCmd `cmd:"" hidden:""`
	Commands
}

type singCmd struct {
	Paths  []string `arg:"" name:"path" help:"Songs."`
	Voice  string   `help:"Voice: ${enum}." enum:"bass,alto,tenor" default:"alto"`
	Book   string   `help:"Book." placeholder:"FILE"`
	Choir  string   `help:"Choir's 'folder', or \"-\"; a\\b." placeholder:"DIR"`
	Times  int      `help:"${times}" default:"1"`
	Softly bool     `short:"s" help:"Sing softly."`
	Never  bool     `hidden:""`
}

func (s *singCmd) Run(ctx context.Context, note *strings.Builder) error {
	fmt.Fprint(note, s.Paths, " ", s.Voice, " ", ctx.Err() == nil)
	return nil
}

var errUsage = errors.New("usage")

type failCmd struct {
	How string `arg:"" enum:"usage,said,model,canceled,plain" help:"How."`
}

func (f failCmd) Run() error {
	return map[string]error{
		"usage": fmt.Errorf("wrong: %w", errUsage), "said": Exit(7), "plain": errors.New("broken"),
		"model":    fmt.Errorf("so: %w", WithStatus(StatusModel, errors.New("no model"))),
		"canceled": fmt.Errorf("oh: %w", context.Canceled),
	}[f.How]
}

var singer = Program{
	Name: "singer", Does: "Sings songs.", Usage: []error{errUsage},
	Statuses: [][2]string{{"0", "Sung."}}, Environment: [][2]string{{"PITCH", "The pitch."}},
	Examples: [][2]string{{"singer --softly a-song 'b'", "One song"}},
	Texts:    map[string]string{"times": ".Times."},
}

func sing(t *testing.T, args ...string) (status int, out, errs, note string) {
	t.Helper()
	var o, e bytes.Buffer
	var n strings.Builder
	status = singer.Run(t.Context(), args, Streams{Out: &o, Err: &e}, &grammar{}, &n)
	return status, o.String(), e.String(), n.String()
}

func TestRun(t *testing.T) {
	for _, c := range []struct {
		args       string
		status     int
		errs, note string
	}{
		{"a b --voice bass", StatusOK, "", "[a b] bass true"},
		{"--voice bass a", StatusOK, "", "[a] bass true"},
		{"", StatusUsage, "singer: expected \"<path> ...\"\nRun \"singer --help\" for the usage.\n", ""},
		{"fail usage", StatusUsage, "singer: wrong: usage\nRun \"singer fail --help\" for the usage.\n", ""},
		{"fail usage --loud", StatusUsage,
			"singer: unknown flag --loud\nRun \"singer fail --help\" for the usage.\n", ""},
		{"fail said", 7, "", ""},
		{"fail model", StatusModel, "singer: so: no model\n", ""},
		{"fail canceled", StatusInterrupted, "singer: interrupted\n", ""},
		{"fail plain", StatusFailed, "singer: broken\n", ""},
	} {
		status, out, errs, note := sing(t, strings.Fields(c.args)...)
		if status != c.status || out != "" || errs != c.errs || note != c.note {
			t.Errorf("%s: status %d, stdout %q, stderr %q, note %q", c.args, status, out, errs, note)
		}
	}
	if err := errors.Join(WithStatus(3, nil), Exit(StatusOK)); err != nil {
		t.Error(err)
	}
}

// fullDisk is an output without room.
type fullDisk struct{}

var errFull = errors.New("disk full")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestFullOutput(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"--version"}, {"man"}, {"completion", "bash"}, {"fail", "--help"}} {
		var errs strings.Builder
		status := singer.Run(t.Context(), args, Streams{Out: fullDisk{}, Err: &errs}, &grammar{}, &strings.Builder{})
		if status != StatusFailed || errs.String() != "singer: disk full\n" {
			t.Errorf("%q: status %d, stderr %q", args, status, errs.String())
		}
	}
}

func TestHelp(t *testing.T) {
	_, out, _, _ := sing(t, "--help")
	for _, part := range []string{
		"Usage: singer <path> ... [flags]\n", "Sings songs.", "--voice", "--version", "Commands:\n  fail <how>",
	} {
		if !strings.Contains(out, part) {
			t.Errorf("help does not say %q:\n%s", part, out)
		}
	}
	if strings.Contains(out, "sing songs") || strings.Contains(out, "never") || strings.Contains(out, "secret") {
		t.Errorf("help says too much:\n%s", out)
	}
	if status, out, _, _ := sing(t, "--version"); status != StatusOK || !strings.HasPrefix(out, "polyphon ") {
		t.Errorf("version: %d, %q", status, out)
	}
	if Commit() == "" || Version() == "" {
		t.Error("the build has no version")
	}
}

func TestComplete(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"", "files fail completion man"},
		{"f", "files fail"},
		{"song ", "files"},
		{"song f", "files"},
		{"--v", "none --version --voice"},
		{"--voice bass --v", "none --version"},
		{"--voice=bass --v", "none --version"},
		{"-", "none --help --version --voice --book --choir --times --softly"},
		{"song --s", "none --softly"},
		{"--voice ", "none bass alto tenor"},
		{"--voice t", "none tenor"},
		{"--voice=t", "none --voice=tenor"},
		{"--voice bass ", "files fail completion man"},
		{"--softly ", "files fail completion man"},
		{"-s ", "files fail completion man"},
		{"--book ", "files"},
		{"--book=x", "files"},
		{"--choir ", "folders"},
		{"--times ", "none"},
		{"--nonsense ", "files fail completion man"},
		{"--nonsense=", "none"},
		{"-- --", "files"},
		{"fail ", "none usage said model canceled plain"},
		{"fail p", "none plain"},
		{"fail plain ", "none"},
		{"fail --", "none --help --version"},
		{"completion ", "none bash zsh fish"},
		{"completion z", "none zsh"},
	} {
		words := strings.Split(c.typed, " ")
		status, out, _, _ := sing(t, append([]string{completeCommand}, words...)...)
		var got []string
		for line := range strings.Lines(out) {
			word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			got = append(got, word)
		}
		if status != StatusOK || strings.Join(got, " ") != c.want {
			t.Errorf("%q gives %q, want %q", c.typed, strings.Join(got, " "), c.want)
		}
	}
	_, out, _, _ := sing(t, completeCommand, "--softly", "--soft")
	if out != "none\n" {
		t.Errorf("a flag is suggested again: %q", out)
	}
	_, out, _, _ = sing(t, completeCommand, "--soft")
	if out != "none\n--softly\tSing softly.\n" {
		t.Errorf("got %q", out)
	}
}

func TestManual(t *testing.T) {
	status, page, _, _ := sing(t, "man")
	if status != StatusOK {
		t.Fatal(status)
	}
	for _, line := range []string{
		`singer \- sings songs`, `.SY "singer"`, `.SY "singer fail"`, `\fB\-\-voice=(dqalto(dq\fR`, `.SS "singer completion"`,
		`Choir\(aqs \(aqfolder\(aq, or \(dq\-\(dq; a\eb.`, `\&.Times.`, `\fBPITCH\fR`, `singer \-\-softly a\-song \(aqb\(aq`,
	} {
		line = strings.ReplaceAll(line, "(dqalto(dq", `\(dqalto\(dq`)
		if !slices.Contains(strings.Split(page, "\n"), line) {
			t.Errorf("no line %s in\n%s", line, page)
		}
	}
	if strings.Contains(page, "never") || strings.Contains(page, "secret") || strings.Contains(page, "sing songs") {
		t.Errorf("the page says too much:\n%s", page)
	}
}
