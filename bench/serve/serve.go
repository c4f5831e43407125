// Package serve is a benchmark worker's side of the protocol of bench/run.py: the process stays, so that what is
// measured is the work and not the start, and the driver can let two workers take turns.
//
// A request is one line of JSON on the standard input, its answer one line on the standard output:
//
//	{"do":"hello"}                                   {"facts":...}
//	{"do":"prepare","name":N,"case":C,"args":{...}}  {"facts":...}
//	{"do":"time","name":N,"calls":K}                 {"seconds":S}, of one call: the mean of K, after one more
//	{"do":"result","name":N,"path":P}                {}; P holds what a call computes, float32, little-endian
//	{"do":"forget"}                                  {}; nothing is prepared any more
//
// What fails answers {"error":"..."}.
package serve

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// Case is work that has been prepared.
type Case struct {
	Run    func()           // one call
	Result func() []float32 // what the latest call computed; nil where there is nothing to compare
	Facts  any              // for the driver
}

// Maker prepares a case from its arguments, which are JSON.
type Maker func(args json.RawMessage) (*Case, error)

// Make returns the Maker that reads its arguments into an A. Unknown arguments are an error; prepare fails by Must and
// Fail.
func Make[A any](prepare func(A) *Case) Maker {
	return func(args json.RawMessage) (c *Case, err error) {
		var a A
		d := json.NewDecoder(bytes.NewReader(args))
		d.DisallowUnknownFields()
		if err := d.Decode(&a); err != nil {
			return nil, err
		}
		defer func() {
			v := recover()
			if f, ok := v.(failure); ok {
				err = f.error
			} else if v != nil {
				panic(v)
			}
		}()
		return prepare(a), nil
	}
}

type failure struct{ error }

// Fail ends the preparation of a case with an error.
func Fail(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// Must returns v, or ends the preparation of a case with err where that is not nil.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(failure{err})
	}
	return v
}

type request struct {
	Do    string          `json:"do"`
	Name  string          `json:"name"`
	Case  string          `json:"case"`
	Args  json.RawMessage `json:"args"`
	Calls int             `json:"calls"`
	Path  string          `json:"path"`
}

type answer struct {
	Facts   any     `json:"facts,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Error   string  `json:"error,omitempty"`
}

// Main answers the requests on the standard input until it ends, and exits. hello is what the worker says of itself.
func Main(hello any, makers map[string]Maker) {
	if err := run(os.Stdin, os.Stdout, hello, makers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, hello any, makers map[string]Maker) error {
	cases := map[string]*Case{}
	requests, answers := bufio.NewReader(in), json.NewEncoder(out)
	for {
		line, err := requests.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var r request
		var a answer
		if err = json.Unmarshal(line, &r); err == nil {
			a, err = r.answer(hello, makers, cases)
		}
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

func (r *request) answer(hello any, makers map[string]Maker, cases map[string]*Case) (answer, error) {
	switch r.Do {
	case "hello":
		return answer{Facts: hello}, nil
	case "forget":
		clear(cases)
		return answer{}, nil
	case "prepare":
		prepare, ok := makers[r.Case]
		if !ok {
			return answer{}, fmt.Errorf("no case %q", r.Case)
		}
		c, err := prepare(r.Args)
		if err != nil {
			return answer{}, fmt.Errorf("%s: %w", r.Case, err)
		}
		cases[r.Name] = c
		return answer{Facts: c.Facts}, nil
	}
	c, ok := cases[r.Name]
	switch {
	case !ok:
		return answer{}, fmt.Errorf("%q has not been prepared", r.Name)
	case r.Do == "time" && r.Calls > 0:
		return answer{Seconds: c.time(r.Calls)}, nil
	case r.Do == "result":
		c.Run()
		return answer{}, WriteFloats(r.Path, c.Result())
	}
	return answer{}, fmt.Errorf("cannot do %q", r.Do)
}

// time returns the mean seconds of a call. The one before them brings caches and threads back.
func (c *Case) time(calls int) float64 {
	c.Run()
	started := time.Now()
	for range calls {
		c.Run()
	}
	return time.Since(started).Seconds() / float64(calls)
}

// ReadFloats returns the little-endian float32 values in the file at path.
func ReadFloats(path string) ([]float32, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := make([]float32, len(data)/4)
	_, err = binary.Decode(data, binary.LittleEndian, values)
	return values, err
}

// WriteFloats writes values to the file at path, as ReadFloats reads them.
func WriteFloats(path string, values []float32) error {
	data, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
