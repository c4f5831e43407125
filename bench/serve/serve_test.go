package serve

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// converse sends requests to a worker with one case, "double", and returns its answers.
func converse(t *testing.T, requests ...string) []answer {
	t.Helper()
	double := Make(func(a struct{ Start float32 }) *Case {
		if a.Start == 0 {
			Fail("nothing to double")
		}
		values := []float32{a.Start, -a.Start}
		return &Case{
			Run: func() {
				for i := range values {
					values[i] *= 2
				}
			},
			Result: func() []float32 { return values },
			Facts:  map[string]int{"values": len(values)},
		}
	})
	var out bytes.Buffer
	in := strings.NewReader(strings.Join(requests, "\n") + "\n")
	if err := run(in, &out, map[string]string{"go": "1"}, map[string]Maker{"double": double}); err != nil {
		t.Fatal(err)
	}
	var answers []answer
	for d := json.NewDecoder(&out); d.More(); {
		var a answer
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) != len(requests) {
		t.Fatalf("%d answers to %d requests", len(answers), len(requests))
	}
	return answers
}

func TestConversation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result")
	answers := converse(t,
		`{"do":"hello"}`,
		`{"do":"prepare","name":"a","case":"double","args":{"start":1}}`,
		`{"do":"time","name":"a","calls":3}`,
		`{"do":"result","name":"a","path":"`+path+`"}`,
	)
	for i, a := range answers {
		if a.Error != "" {
			t.Errorf("answer %d is the error %q", i, a.Error)
		}
	}
	if answers[0].Facts == nil || answers[1].Facts == nil || !(answers[2].Seconds > 0) {
		t.Errorf("answers are %+v", answers)
	}
	values, err := ReadFloats(path)
	if err != nil {
		t.Fatal(err)
	}
	// Three calls that were timed, one before them, one for the result.
	if want := []float32{32, -32}; !slices.Equal(values, want) {
		t.Errorf("the result is %v, want %v", values, want)
	}
}

func TestErrors(t *testing.T) {
	answers := converse(t,
		`{"do":"prepare","name":"a","case":"double","args":{"start":1}}`,
		`{"do":"forget"}`,
		`{"do":"time","name":"a","calls":1}`,
		`{"do":"prepare","name":"a","case":"double","args":{"start":0}}`,
		`{"do":"prepare","name":"a","case":"double","args":{"begin":1}}`,
		`{"do":"prepare","name":"a","case":"triple","args":{}}`,
		`not JSON`,
	)
	for i, want := range []string{
		"", "", "has not been prepared", "nothing to double", "begin", "triple", "invalid character",
	} {
		if got := answers[i].Error; !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("answer %d is the error %q, want one with %q", i, got, want)
		}
	}
}
