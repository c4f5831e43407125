package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/serve"
)

// served returns the address of a service with the command's configuration for its flags.
func served(t *testing.T, models ...string) string {
	t.Helper()
	return servedAs(t, server{Model: models})
}

func servedAs(t *testing.T, c server) string {
	t.Helper()
	config, err := c.config(program.Streams{Err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = slog.New(slog.DiscardHandler)
	s, err := serve.New(config)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		web.Close()
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return web.URL
}

// timeless removes what two runs differ in, and what a request does not have.
func timeless(records string) string {
	return regexp.MustCompile(`"elapsed":[0-9.]+,`).ReplaceAllString(records, "")
}

// post returns the status and the answer to a request.
func post(t *testing.T, address, contentType string, body io.Reader) (int, string) {
	t.Helper()
	response, err := http.Post(address, contentType, body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// TestServedRecordsAreTheCommands posts sounds of all kinds and compares the answers with what the command writes of
// the same sounds on its standard input, byte by byte.
func TestServedRecordsAreTheCommands(t *testing.T) {
	base, calibrated := served(t), savedModel(t, doubtfulModel())
	loudness, pooled := served(t, "m="+calibrated), servedAs(t, server{Model: []string{"small"}, Pool: "share"})
	cases, err := filepath.Glob("../../audio/testdata/cases/*.wav")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	sounds := map[string][]byte{
		"short":         wav(spoken(t, "yes.wav", 1)[:rate/3]),
		"window":        wav(spoken(t, "yes.wav", 1)),
		"clip":          wav(spoken(t, "stop.wav", 2)),
		"long":          wav(spoken(t, "left.wav", 9)),
		"another rate":  audiotest.WAV(audio.F32LE, 44100, spoken(t, "left.wav", 5)),
		"a murmur":      wav(noise(4*rate, hum)),
		"a second less": wav(noise(rate-1, loud)),
	}
	for _, path := range cases {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sounds[filepath.Base(path)] = content
	}
	for name, sound := range sounds {
		for _, c := range []struct {
			address, query string
			flags          []string
		}{
			{base, "", nil},
			{base, "?model=small&top=0", []string{"--model", "small", "--top", "0"}},
			{base, "?windows=1&top=3", []string{"--windows", "--top", "3"}},
			{base, "?format=json&top=2", []string{"--top", "2", "--format", "json"}},
			{base, "?format=json&windows=true", []string{"--windows", "--format", "json"}},
			{base, "?as=clip&pool=max&top=3", []string{"--as", "clip", "--pool", "max", "--top", "3"}},
			{base, "?as=events&pool=share&top=0", []string{"--as", "events", "--pool", "share", "--top", "0"}},
			{base, "?windows=1&pool=max", []string{"--windows", "--pool", "max"}},
			{pooled, "?top=3", []string{"--model", "small", "--pool", "share", "--top", "3"}},
			{pooled, "?top=3&pool=mean", []string{"--model", "small", "--pool", "mean", "--top", "3"}},
			{loudness, "?coverage=0.9", []string{"--model", calibrated, "--coverage", "0.9"}},
			{loudness, "?coverage=0.6&windows=1", []string{"--model", calibrated, "--coverage", "0.6", "--windows"}},
		} {
			flags := append([]string{"--format", "ndjson"}, c.flags...)
			status, want, _ := classify(t, sound, append(flags, "--threads", "1", "-")...)
			code, got := post(t, c.address+"/v1/classify"+c.query, "audio/wav", bytes.NewReader(sound))
			if status == statusFailed {
				if code < 400 || !strings.HasPrefix(got, `{"error":`) {
					t.Errorf("%s%s: %d %s, and the command fails with %s", name, c.query, code, got, want)
				}
				continue
			}
			want = strings.ReplaceAll(want, `"model":"`+calibrated+`"`, `"model":"m"`)
			if code != http.StatusOK || timeless(got) != timeless(want) {
				t.Errorf("%s%s: status %d\n%s\nand not\n%s", name, c.query, code, got, want)
			}
		}
	}
}

// TestServedBatchIsTheCommands posts several files, of which one is none, and compares with what the command writes.
func TestServedBatchIsTheCommands(t *testing.T) {
	address := served(t, "small")
	files := map[string][]byte{
		"a.wav": wav(spoken(t, "yes.wav", 1)), "b.wav": wav(spoken(t, "left.wav", 6)), "c.wav": []byte("no sound at all"),
		"d.wav": wav(spoken(t, "stop.wav", 2)), "e.wav": wav(noise(1000, loud)),
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	w.WriteField("comment", "fields that are no files are left out")
	for _, name := range slices.Sorted(mapKeys(files)) {
		part, err := w.CreateFormFile("file", name)
		if err != nil {
			t.Fatal(err)
		}
		part.Write(files[name])
	}
	w.Close()
	folder(t, files)
	_, want, _ := classify(t, nil, "--model", "small", "--format", "ndjson", "--threads", "1", "a.wav", "b.wav", "c.wav",
		"d.wav", "e.wav")
	code, got := post(t, address+"/v1/classify:batch", w.FormDataContentType(), &form)
	if code != http.StatusOK || timeless(got) != timeless(want) {
		t.Errorf("status %d\n%s\nand not\n%s", code, got, want)
	}
}

func mapKeys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestServeCommand runs the command with a token, asks it something, has it load its models again and ends it.
func TestServeCommand(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	logged, log := io.Pipe()
	status := make(chan int, 1)
	go func() {
		args := []string{"serve", "--addr", "127.0.0.1:0", "--model", "tiny=small", "--token-file", token}
		status <- runCommand(ctx, args, program.Streams{Out: io.Discard, Err: log})
		log.Close()
	}()
	var address string
	line := make([]byte, 4096)
	n, err := logged.Read(line)
	if _, at, ok := strings.Cut(string(line[:n]), "url="); err == nil && ok {
		address = strings.TrimSpace(at)
	}
	go io.Copy(io.Discard, logged)
	if _, err := url.Parse(address); err != nil || address == "" {
		t.Fatalf("the log begins with %q", line[:n])
	}
	for authorization, want := range map[string]int{"Bearer secret": 200, "Bearer secre": 401, "": 401, "secret": 401} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/v1/models", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", authorization)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != want || want == 200 && !strings.Contains(string(body), `"default":"tiny"`) {
			t.Errorf("%q: %d %s", authorization, response.StatusCode, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	select {
	case s := <-status:
		expect(t, "status", s, statusOK)
	case <-time.After(20 * time.Second):
		t.Fatal("the command does not end")
	}
}

func TestServeUsage(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		status int
		says   string
		args   []string
	}{
		{statusUsage, "--tls-cert and --tls-key need each other", []string{"--tls-cert", "a"}},
		{statusUsage, "limits cannot be negative", []string{"--max-streams=-1"}},
		{statusUsage, "--origin example.org: ", []string{"--origin", "example.org"}},
		{statusUsage, "it is empty", []string{"--token-file", empty}},
		{statusModel, "no-such.safetensors", []string{"--model", "no-such.safetensors"}},
		{statusModel, `two models are named "a"`, []string{"--model", "a=small", "--model", "a=base"}},
	} {
		status, _, errs := classify(t, nil, append([]string{"serve", "--addr", "127.0.0.1:0"}, c.args...)...)
		expect(t, fmt.Sprint(c.args), status, c.status)
		contains(t, fmt.Sprint(c.args), errs, c.says)
	}
}
