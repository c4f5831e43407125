package serve

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestDescription holds the description to the routes: each has its operation, and no other is described. That it is
// OpenAPI 3.1 is checked by .ci/run.
func TestDescription(t *testing.T) {
	s, url := newServer(t, Config{})
	status, answer, _ := ask(t, "GET", url+"/v1/openapi.json", nil, nil)
	var description struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Responses   map[string]any
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(answer), &description); err != nil || status != 200 || description.OpenAPI != "3.1.0" {
		t.Fatalf("%d %.200s: %v", status, answer, err)
	}
	var described []string
	for path, operations := range description.Paths {
		for method := range operations {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(described)
	if routes := slices.Sorted(maps.Keys(s.handlers())); !slices.Equal(routes, described) {
		t.Errorf("described are\n%s\nserved are\n%s", strings.Join(described, "\n"), strings.Join(routes, "\n"))
	}
	for _, reference := range strings.Split(answer, `"$ref":"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(reference, `"`)
		if description.Components.Schemas[name] == nil {
			t.Errorf("no schema %q", name)
		}
	}
}

// TestMessagesAreDescribed holds the fields of each message to its schema.
func TestMessagesAreDescribed(t *testing.T) {
	_, url := newServer(t, Config{})
	_, answer, _ := ask(t, "GET", url+"/v1/openapi.json", nil, nil)
	type schema struct {
		Required   []string
		Properties map[string]any
	}
	var description struct {
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal([]byte(answer), &description); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]Message{
		"Ready": &Ready{}, "Event": &Event{Clock: "x"}, "Decision": &Decision{}, "Frames": &Frames{},
		"Warning": &Warning{}, "Lag": &Lag{}, "End": &End{Refused: 1}, "StreamError": &Error{},
	} {
		var fields map[string]any
		if err := json.Unmarshal(Encode(m), &fields); err != nil {
			t.Fatal(err)
		}
		s := description.Components.Schemas[name]
		if got, want := slices.Sorted(maps.Keys(fields)), slices.Sorted(maps.Keys(s.Properties)); !slices.Equal(got, want) {
			t.Errorf("%s has %v, described are %v", name, got, want)
		}
		for _, field := range s.Required {
			if _, ok := fields[field]; !ok {
				t.Errorf("%s has no %q", name, field)
			}
		}
	}
}
