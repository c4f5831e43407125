package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/polyphon/polyphon/polynet"
)

// sourceFlag is a collection of recordings with its licence.
type sourceFlag polynet.Source

// UnmarshalText parses NAME: LICENCE, ATTRIBUTION, whose last part may be missing. The name ends at the first colon,
// the licence at the first comma after it.
func (f *sourceFlag) UnmarshalText(text []byte) error {
	if strings.ContainsFunc(string(text), unicode.IsControl) {
		return fmt.Errorf("%q has control characters", text)
	}
	name, rest, _ := strings.Cut(string(text), ":")
	licence, attribution, _ := strings.Cut(rest, ",")
	*f = sourceFlag{strings.TrimSpace(name), strings.TrimSpace(licence), strings.TrimSpace(attribution)}
	if f.Name == "" || f.Licence == "" {
		return fmt.Errorf(`%q is not "NAME: LICENCE, ATTRIBUTION"`, text)
	}
	return nil
}

// inherited adds the sources of the teachers' recordings to those given: what is distilled from a model comes from
// them, too.
func inherited[S sourceFlag | polynet.Source](given []S, teachers []*polynet.Model) []S {
	given = slices.Clip(given)
	for _, teacher := range teachers {
		for _, source := range teacher.Provenance.Sources {
			if !slices.Contains(given, S(source)) {
				given = append(given, S(source))
			}
		}
	}
	return given
}
