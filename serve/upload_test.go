package serve

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/models"
)

// endless is a body that never ends, of which nobody knows the length.
type endless struct{ begin *bytes.Reader }

// Read implements io.Reader.
func (e endless) Read(p []byte) (int, error) {
	if n, _ := e.begin.Read(p); n > 0 {
		return n, nil
	}
	return len(p), nil
}

// form returns a multipart form of files, and its content type.
func form(t testing.TB, files ...[]byte) (io.Reader, string) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for i, file := range files {
		part, err := w.CreateFormFile("file", fmt.Sprintf("%d.wav", i))
		if err != nil {
			t.Fatal(err)
		}
		part.Write(file)
	}
	w.Close()
	return &body, w.FormDataContentType()
}

// TestRefusals says with which status and words each kind of bad request is answered.
func TestRefusals(t *testing.T) {
	plain, raw := filepath.Join(t.TempDir(), "plain.safetensors"), models.Small()
	raw.Calibration = nil
	if err := raw.Save(plain); err != nil {
		t.Fatal(err)
	}
	_, url := newServer(t, Config{
		Models: []Source{{Name: "small", Path: "small"}, {Name: "plain", Path: plain}},
		Limits: Limits{Body: 300_000, Duration: 5 * time.Second},
	})
	yes := wav(spoken(t, "yes"))
	huge := bytes.Clone(yes) // a header that lies: 4 GB of samples
	binary.LittleEndian.PutUint32(huge[40:], math.MaxUint32-1000)
	lying := bytes.Clone(yes)
	binary.LittleEndian.PutUint32(lying[40:], 64_000)
	long := wav(make([]float32, 6*rate))
	broken, brokenType := form(t, yes, yes)
	part := []byte("--b\r\nContent-Disposition: form-data; name=f; filename=a.wav\r\n\r\n")
	for _, c := range []struct {
		what, path string
		kind       string // Content-Type
		body       io.Reader
		status     int
		says       string
	}{
		{"a sound", "/v1/classify", "audio/wav", bytes.NewReader(yes), 200, `"label":"yes"`},
		{"a sound of no type", "/v1/classify", "", bytes.NewReader(yes), 200, `"label":"yes"`},
		{"a header of 4 GB", "/v1/classify", "", bytes.NewReader(huge), 200, `"seconds":1,`},
		{"a lying header", "/v1/classify", "", bytes.NewReader(lying), 200, `"warning":["data chunk says`},
		{"a body that is too large", "/v1/classify", "", bytes.NewReader(make([]byte, 300_001)), 413, "too large"},
		{"an endless body", "/v1/classify", "", endless{bytes.NewReader(huge)}, 413, "too long"},
		{"an endless batch", "/v1/classify:batch", "multipart/form-data; boundary=b",
			endless{bytes.NewReader(part)}, 413, "too large"},
		{"a sound that is too long", "/v1/classify", "", bytes.NewReader(long), 413, "sound too long: the limit is 5s"},
		{"text", "/v1/classify", "", strings.NewReader("To whom it may concern: a letter"), 415, "not supported"},
		{"nothing", "/v1/classify", "", strings.NewReader(""), 422, ""},
		{"a sound without samples", "/v1/classify", "", bytes.NewReader(yes[:44]), 422, "no samples"},
		{"half a header", "/v1/classify", "", bytes.NewReader(yes[:30]), 422, "damaged"},
		{"another method", "/v1/classify", "", nil, 405, "Method Not Allowed"},
		{"a path that is none", "/v1/classic", "", nil, 404, "404"},
		{"a model that is none", "/v1/classify?model=large", "", bytes.NewReader(yes), 404, `no such model: \"large\"`},
		{"top that is none", "/v1/classify?top=many", "", bytes.NewReader(yes), 400, "top=many"},
		{"a negative top", "/v1/classify?top=-1", "", bytes.NewReader(yes), 400, "negative"},
		{"windows that are none", "/v1/classify?windows=all", "", bytes.NewReader(yes), 400, "windows=all"},
		{"a way that is none", "/v1/classify?as=file", "", bytes.NewReader(yes), 400, "as=file"},
		{"windows as a way", "/v1/classify?as=windows", "", bytes.NewReader(yes), 400, "as=windows"},
		{"a pool that is none", "/v1/classify?pool=median", "", bytes.NewReader(yes), 400, "pool=median"},
		{"an empty pool", "/v1/classify?pool=", "", bytes.NewReader(yes), 400, "pool="},
		{"a format that is none", "/v1/classify?format=xml", "", bytes.NewReader(yes), 400, "json and ndjson"},
		{"a parameter that is none", "/v1/classify?modell=a", "", bytes.NewReader(yes), 400, "no such parameter"},
		{"sets of a model that has none", "/v1/classify?model=plain&coverage=0.9", "", bytes.NewReader(yes), 400,
			"not calibrated"},
		{"a batch that is none", "/v1/classify:batch", "", bytes.NewReader(yes), 400, "multipart"},
		{"a form without its end", "/v1/classify:batch", brokenType, io.LimitReader(broken, 40_000), 400, "multipart"},
		{"a form that is none", "/v1/classify", "multipart/form-data", bytes.NewReader(yes), 400, "boundary"},
		{"a type that is none", "/v1/classify", "audio//wav", bytes.NewReader(yes), 400, "bad request"},
		{"an empty form", "/v1/classify", "multipart/form-data; boundary=b", strings.NewReader("--b--"), 400, "no files"},
	} {
		method := http.MethodPost
		if c.body == nil {
			method = http.MethodGet
		}
		headers := map[string]string{}
		if c.kind != "" {
			headers["Content-Type"] = c.kind
		}
		status, answer, header := ask(t, method, url+c.path, headers, c.body)
		if status != c.status || !strings.Contains(answer, c.says) {
			t.Errorf("%s: %d %s, want %d %q", c.what, status, answer, c.status, c.says)
		}
		if status >= 400 && status != 404 && status != 405 && header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: an error as %q", c.what, header.Get("Content-Type"))
		}
	}
}

// TestBrokenUpload declares more than it sends. Whoever does so gets no answer, and no goroutine is left.
func TestBrokenUpload(t *testing.T) {
	s, url := newServer(t, Config{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	sound := wav(spoken(t, "yes"))
	fmt.Fprintf(conn, "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 2*len(sound))
	conn.Write(sound)
	wait(t, "the upload has begun", func() bool { return len(s.uploads) == 1 })
	conn.Close()
	wait(t, "the upload has ended", func() bool { return len(s.uploads) == 0 })
}

func TestUploadsAreLimited(t *testing.T) {
	s, url := newServer(t, Config{Limits: Limits{Uploads: 1}})
	body, rest := io.Pipe()
	done := make(chan int)
	go func() {
		status, _, _ := ask(t, "POST", url+"/v1/classify", nil, body)
		done <- status
	}()
	sound := wav(spoken(t, "yes"))
	rest.Write(sound[:100])
	wait(t, "the upload has begun", func() bool { return len(s.uploads) == 1 })
	status, answer, header := ask(t, "POST", url+"/v1/classify", nil, bytes.NewReader(sound))
	if status != 503 || header.Get("Retry-After") == "" || !strings.Contains(answer, "busy") {
		t.Errorf("a second upload: %d %s", status, answer)
	}
	rest.Write(sound[100:])
	rest.Close()
	if status := <-done; status != 200 {
		t.Errorf("the first upload: %d", status)
	}
}

// TestConcurrentUploads: sounds that are computed together have the answers that they have alone.
func TestConcurrentUploads(t *testing.T) {
	_, url := newServer(t, Config{})
	names := []string{"left", "yes", "stop"}
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			status, answer, _ := ask(t, "POST", url+"/v1/classify", nil, bytes.NewReader(wav(spoken(t, names[i%3]))))
			if status != 200 || !strings.Contains(answer, `"labels":[{"label":"`+names[i%3]+`"`) {
				t.Errorf("%s: %d %s", names[i%3], status, answer)
			}
		})
	}
	all.Wait()
}

// TestBatchOfManySounds: more than are computed together, with one that is none and a long one between.
func TestBatchOfManySounds(t *testing.T) {
	_, url := newServer(t, Config{})
	sounds := map[string][]byte{
		"left": wav(spoken(t, "left")), "yes": wav(spoken(t, "yes")), "error": []byte("no sound, but a text of some length"),
		"stop": wav(append(words(t, "stop"), make([]float32, rate)...)),
	}
	var files [][]byte
	var want, got []string
	for i := range 45 {
		label := []string{"left", "yes", "left", "yes", "yes"}[i%5]
		if i == 7 || i == 20 {
			label = "error"
		}
		if i == 30 {
			label = "stop"
			want = append(want, "detection stop")
		}
		files = append(files, sounds[label])
		want = append(want, label)
	}
	body, kind := form(t, files...)
	status, answer, _ := ask(t, "POST", url+"/v1/classify:batch", map[string]string{"Content-Type": kind}, body)
	for line := range strings.Lines(answer) {
		var r struct {
			Event, Label string
			Labels       []struct{ Label string }
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		switch r.Event {
		case "detection":
			got = append(got, "detection "+r.Label)
		case "result":
			got = append(got, r.Labels[0].Label)
		case "error":
			got = append(got, "error")
		}
	}
	if status != 200 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("status %d\n%v\nwant\n%v", status, got, want)
	}
}

// TestServerSentEvents posts live sound, and reads events while the body goes on.
func TestServerSentEvents(t *testing.T) {
	_, url := newServer(t, Config{})
	body, rest := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), "POST",
		url+"/v1/listen?rate=16000&decisions=true&thresholds=left=0.5,*=0.8", body)
	if err != nil {
		t.Fatal(err)
	}
	go rest.Write(pcm(words(t, "left")))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var list []message
	next := func() (m message) {
		line := ""
		for b := make([]byte, 1); !strings.HasSuffix(line, "\n\n"); line += string(b) {
			if n, err := response.Body.Read(b); n == 0 && err != nil {
				t.Fatalf("%v after %q", err, line)
			}
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, m)
		return m
	}
	for next().Type != "event" { // before the body has ended
	}
	rest.Close()
	for next().Type != "end" {
	}
	if response.Header.Get("Content-Type") != "text/event-stream" || list[0].Type != "ready" ||
		eventLabels(list) != "left" ||
		fmt.Sprint(list[0].Thresholds) != "map[*:0.8 left:0.5]" {
		t.Errorf("%v: %+v", response.Header, list)
	}
	for query, want := range map[string]int{
		"rate=0x": 400, "rate=7": 400, "model=x": 404, "thresholds=left": 400, "a=b": 400,
	} {
		if status, answer, _ := ask(t, "POST", url+"/v1/listen?"+query, nil, strings.NewReader("")); status != want {
			t.Errorf("%s: %d %s", query, status, answer)
		}
	}
}

// TestServerSentEventsOfAClientThatLeaves ends the stream.
func TestServerSentEventsOfAClientThatLeaves(t *testing.T) {
	s, url := newServer(t, Config{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /v1/listen HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n")
	wait(t, "the stream has begun", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.sessions) == 1 })
	conn.Close()
	wait(t, "the stream has ended", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.sessions) == 0 })
}

func TestClips(t *testing.T) {
	dir := t.TempDir()
	_, url := newServer(t, Config{SaveDir: dir})
	_, none := newServer(t, Config{})
	sound := wav(spoken(t, "left"))
	for _, c := range []struct {
		url, query string
		body       []byte
		status     int
	}{
		{url, "label=left&kind=missed&at=12.3", sound, 201},
		{url, "label=_unknown_&kind=wrong&was=left", sound, 201},
		{url, "label=left&kind=wrong&was=lefty", sound, 400},
		{url, "kind=wrong", sound, 400},
		{url, "label=../left&kind=wrong", sound, 400},
		{url, "label=left&kind=other", sound, 400},
		{url, "label=left&kind=wrong&at=x", sound, 400},
		{url, "label=left&kind=wrong", []byte("#!/bin/sh\necho this is no sound"), 415},
		{url, "label=left&kind=wrong", wav(make([]float32, 61*rate)), 413},
		{none, "label=left&kind=wrong", sound, 403},
	} {
		status, answer, _ := ask(t, "POST", c.url+"/v1/clips?"+c.query, nil, bytes.NewReader(c.body))
		if status != c.status {
			t.Errorf("%s: %d %s, want %d", c.query, status, answer, c.status)
		}
		var saved struct{ File string }
		if json.Unmarshal([]byte(answer), &saved); status == 201 {
			clip, err := audio.ReadFile(filepath.Join(dir, saved.File), rate)
			if err != nil || len(clip.Samples) != rate {
				t.Errorf("%s: %s: %v, %d samples", c.query, saved.File, err, len(clip.Samples))
			}
		}
	}
	for label, want := range map[string]int{"left": 1, "_unknown_": 1} {
		if files, err := os.ReadDir(filepath.Join(dir, label)); err != nil || len(files) != want {
			t.Errorf("%s: %v, %v", label, files, err)
		}
	}
}

// TestOpenInference asks as KServe's clients do.
func TestOpenInference(t *testing.T) {
	_, url := newServer(t, Config{})
	for _, path := range []string{
		"/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/small", "/v2/models/small/ready",
	} {
		if status, answer, _ := ask(t, "GET", url+path, nil, nil); status != 200 {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	samples := spoken(t, "yes")
	e, err := features.New(features.Default())
	if err != nil {
		t.Fatal(err)
	}
	rows := e.Rows(nil, samples, e.Scratch())
	type input map[string]any
	infer := func(in ...input) (int, string) {
		body, err := json.Marshal(map[string]any{"id": "7", "inputs": in})
		if err != nil {
			t.Fatal(err)
		}
		status, answer, _ := ask(t, "POST", url+"/v2/models/small/infer", nil, bytes.NewReader(body))
		return status, answer
	}
	likeliest := func(answer string) (label string, n int) {
		var a struct {
			ID      string
			Outputs []struct {
				Data       []float64
				Shape      []int
				Parameters struct{ Labels []string }
			}
		}
		if err := json.Unmarshal([]byte(answer), &a); err != nil || a.ID != "7" || len(a.Outputs) != 1 {
			t.Fatalf("%s: %v", answer, err)
		}
		out, best := a.Outputs[0], 0
		for i, p := range out.Data {
			if p > out.Data[best] {
				best = i
			}
		}
		if out.Shape[0]*out.Shape[1] != len(out.Data) {
			t.Errorf("a shape of %v for %d values", out.Shape, len(out.Data))
		}
		return out.Parameters.Labels[best%len(out.Parameters.Labels)], out.Shape[0]
	}
	twice := append(rows[:len(rows):len(rows)], rows...)
	for _, c := range []struct {
		in     input
		sounds int
	}{
		{input{"name": "pcm", "shape": []int{1, rate}, "datatype": "FP32", "data": samples}, 1},
		{input{"name": "features", "shape": []int{1, 101, 40}, "datatype": "FP32", "data": rows}, 1},
		{input{"name": "features", "shape": []int{2, 101, 40}, "datatype": "FP32", "data": twice}, 2},
	} {
		status, answer := infer(c.in)
		if status != 200 {
			t.Fatalf("%s %v: %d %s", c.in["name"], c.in["shape"], status, answer)
		}
		if label, n := likeliest(answer); label != "yes" || n != c.sounds {
			t.Errorf("%s %v: %s, %d sounds", c.in["name"], c.in["shape"], label, n)
		}
	}
	for _, c := range []struct {
		in   []input
		says string
	}{
		{nil, "0 inputs"},
		{[]input{{"name": "image", "shape": []int{1}, "datatype": "FP32", "data": []int{1}}}, `an input \"image\"`},
		{[]input{{"name": "pcm", "shape": []int{1, 1}, "datatype": "INT8", "data": []int{1}}}, "INT8"},
		{[]input{{"name": "pcm", "shape": []int{1, 2}, "datatype": "FP32", "data": []int{1}}}, "[1 2] for 1 values"},
		{[]input{{"name": "pcm", "shape": []int{-1, -1}, "datatype": "FP32", "data": []int{1}}}, "a shape of [-1 -1]"},
		{[]input{{"name": "pcm", "shape": []int{math.MaxInt, math.MaxInt}, "datatype": "FP32", "data": []int{1}}},
			"a shape of"},
		{[]input{{"name": "pcm", "shape": []int{0}, "datatype": "FP32", "data": []int{}}}, "a shape of [0]"},
		{[]input{{"name": "features", "shape": []int{1}, "datatype": "FP32", "data": []int{1}}}, "(n, 101, 40)"},
		{[]input{{"name": "pcm", "shape": []int{1}, "datatype": "FP32", "data": []int{1},
			"parameters": map[string]any{"rate": "fast"}}}, "a rate of fast"},
	} {
		if status, answer := infer(c.in...); status != 400 || !strings.Contains(answer, c.says) {
			t.Errorf("%v: %d %s, want 400 %q", c.in, status, answer, c.says)
		}
	}
	for _, path := range []string{"/v2/models/x", "/v2/models/x/ready"} {
		if status, _, _ := ask(t, "GET", url+path, nil, nil); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
}
