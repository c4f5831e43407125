package program

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"testing"
)

type pathFlags struct {
	Name  string   `name:"name"`
	Model string   `name:"model" type:"path"`
	Noise []string `name:"noise" type:"path"`
	Songs []string `arg:"" optional:""`
}

func (pathFlags) Run() error { return nil }

// TestPathsAreTakenAsTheyAre gives file names that are not UTF-8, and commas.
func TestPathsAreTakenAsTheyAre(t *testing.T) {
	abs := func(path string) string {
		path, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		args []string
		want pathFlags
	}{
		{[]string{"caf\xe9", "\xff\xfe", "a,b"}, pathFlags{Songs: []string{"caf\xe9", "\xff\xfe", "a,b"}}},
		{[]string{"--name", "\xf0\x9f", "--model=\xe9.x"}, pathFlags{Name: "\xf0\x9f", Model: abs("\xe9.x")}},
		{[]string{"--model", "-"}, pathFlags{Model: "-"}},
		{[]string{"--model", ""}, pathFlags{}},
		{[]string{"--noise", "a\xe9,b", `--noise=c\,d,`},
			pathFlags{Noise: []string{abs("a\xe9"), abs("b"), abs("c,d"), abs("")}}},
	} {
		var got pathFlags
		p := Program{Name: "p"}
		status := p.Run(context.Background(), c.args, Streams{Out: io.Discard, Err: io.Discard}, &got)
		same := got.Name == c.want.Name && got.Model == c.want.Model && slices.Equal(got.Noise, c.want.Noise) &&
			slices.Equal(got.Songs, c.want.Songs)
		if status != StatusOK || !same {
			t.Errorf("%q: status %d, %q, want %q", c.args, status, got, c.want)
		}
	}
}
