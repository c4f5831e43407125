package main

import (
	"path/filepath"
	"testing"
)

func TestPatterns(t *testing.T) {
	folder(t, map[string][]byte{
		"rec/b.wav": nil, "rec/A.WAV": nil, "rec/c.flac": nil, "take[1]/x1.wav": nil, "take[1]/x22.wav": nil,
		"Ärger/é.wav": nil, "d.wav": nil, "[d].wav": nil,
	})
	for _, c := range []struct {
		pattern string
		want    []string
	}{
		{"rec/*.wav", []string{"rec/A.WAV", "rec/b.wav"}},
		{"REC?/*.wav", []string{"REC?/*.wav"}},
		{"R*/?.Flac", []string{"rec/c.flac"}},
		{"*/?.wav", []string{"rec/A.WAV", "rec/b.wav", "Ärger/é.wav"}},
		{"take[1]/x?.wav", []string{"take[1]/x1.wav"}},
		{"[d]*.wav", []string{"[d].wav"}},
		{"ÄRG*/É*", []string{"Ärger/é.wav"}},
		{"./*.WAV", []string{"[d].wav", "d.wav"}},
		{"none/*.wav", []string{"none/*.wav"}},
		{"rec/b.wav", []string{"rec/b.wav"}},
		{"-", []string{"-"}},
	} {
		got := matchPatterns([]string{"first", c.pattern, "last"})
		for i := range got {
			got[i] = filepath.ToSlash(got[i])
		}
		want := append(append([]string{"first"}, c.want...), "last")
		expect(t, c.pattern, got, want)
	}
}
