package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/internal/records"
)

// clipsToReview writes clips as classify --save does, and a data set with the classes high and low.
func clipsToReview(t *testing.T) (clips, into string) {
	t.Helper()
	clips, into = t.TempDir(), pitches(t, 4, "high", "low")
	rng := rand.New(rand.NewPCG(7, 8))
	for i, name := range []string{
		"high/one.wav", "high/two.wav", "_near_/low/three.wav", "four.wav", "low/five ü.wav",
	} {
		path := filepath.Join(clips, filepath.FromSlash(name))
		os.MkdirAll(filepath.Dir(path), 0o755)
		writeTone(t, path, 300*float64(i+1), rng)
	}
	saved := `{"spec":2,"clip":"_near_/low/three.wav","near":true,"begins":1,"file":"talk.wav","time":3,"start":1.5,` +
		`"end":2,"label":"low","p":0.4}` + "\n" + `{"spec":2,"clip":"high/on`
	if err := os.WriteFile(filepath.Join(clips, records.SavedName), []byte(saved), 0o644); err != nil {
		t.Fatal(err)
	}
	return clips, into
}

// startReview runs train review, and returns its address with the token, and what ends it and returns what it said.
func startReview(t *testing.T, args ...string) (address, token string, end func() (status int, errs string)) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	var errs bytes.Buffer
	done := make(chan int)
	go func() {
		status := this.Run(ctx, append([]string{"review"}, args...), program.Streams{Out: in, Err: &errs}, &commands{})
		in.Close()
		done <- status
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%v: status %d, %s", err, <-done, errs.String())
	}
	address, token, _ = strings.Cut(strings.TrimSpace(line), "/#")
	return address, token, func() (int, string) {
		stop()
		return <-done, errs.String()
	}
}

// ask sends a request and returns the status and the answer.
func ask(t *testing.T, method, url, token, body string, change func(*http.Request)) (int, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	if change != nil {
		change(q)
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

// reviewState is what the page is told.
type reviewState struct {
	Clips   []reviewClip
	Folders []string
}

func stateOf(t *testing.T, address, token string) (s reviewState) {
	t.Helper()
	status, text := ask(t, "GET", address+"/v1/clips", token, "", nil)
	if err := json.Unmarshal([]byte(text), &s); err != nil || status != 200 {
		t.Fatalf("%d, %v: %s", status, err, text)
	}
	return s
}

// wavs lists the sounds below a folder.
func wavs(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.wav"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		rel, _ := filepath.Rel(dir, name)
		names = append(names, filepath.ToSlash(rel))
	}
	return names
}

func TestReview(t *testing.T) {
	for _, move := range []bool{false, true} {
		t.Run(fmt.Sprint(move), func(t *testing.T) {
			clips, into := clipsToReview(t)
			before := wavs(t, into)
			args := []string{clips, "--into", into}
			if move {
				args = append(args, "--move")
			}
			address, token, end := startReview(t, args...)
			s := stateOf(t, address, token)
			if len(s.Clips) != 5 || !slices.Equal(s.Folders, []string{"_unknown_", "high", "low"}) {
				t.Fatalf("%+v", s)
			}
			ids := map[string]int{}
			for _, c := range s.Clips {
				ids[c.Name] = c.ID
			}
			if near := s.Clips[ids["_near_/low/three.wav"]]; !near.Near || near.Folder != "low" || near.P != 0.4 ||
				near.Source != "talk.wav" {
				t.Errorf("near miss %+v", near)
			}
			if c := s.Clips[ids["four.wav"]]; c.Folder != "" || c.Filed != "" {
				t.Errorf("without a label: %+v", c)
			}
			file := func(name, folder string) (int, string) {
				return ask(t, "POST", fmt.Sprintf("%s/v1/clips/%d", address, ids[name]), token,
					fmt.Sprintf(`{"folder":%q}`, folder), nil)
			}
			for _, c := range []struct{ name, folder, want string }{
				{"high/one.wav", "high", "high"}, {"high/two.wav", "_unknown_", "_unknown_"},
				{"_near_/low/three.wav", "low", "low"}, {"four.wav", "a/b", "a%2Fb"}, {"four.wav", "../..", "%2E.%2F.%2E"},
				{"four.wav", "high", "high"}, {"low/five ü.wav", "low", "low"}, {"low/five ü.wav", "", ""},
				{"high/one.wav", "high", "high"},
			} {
				status, text := file(c.name, c.folder)
				if want := fmt.Sprintf(`{"filed":%q}`, c.want); status != 200 || strings.TrimSpace(text) != want {
					t.Errorf("%s into %q: %d, %s", c.name, c.folder, status, text)
				}
			}
			for i := range s.Clips { // wherever it is by now
				var sound struct {
					Rate, Mels    int
					Samples, Rows []byte
					Seconds, Hop  float64
				}
				status, text := ask(t, "GET", fmt.Sprintf("%s/v1/clips/%d", address, i), token, "", nil)
				if err := json.Unmarshal([]byte(text), &sound); err != nil || status != 200 || len(sound.Samples) != 9600 ||
					sound.Rate != 16000 || sound.Seconds != 0.3 || len(sound.Rows) != 31*sound.Mels ||
					slices.Max(sound.Rows) != 255 {
					t.Errorf("clip %d: %d, %v, %d bytes", i, status, err, len(text))
				}
			}
			status, errs := end()
			if status != program.StatusOK || !strings.Contains(errs, "5 clips to review, 0 are filed already") ||
				!strings.Contains(errs, "4 of 5 clips are filed") {
				t.Errorf("%d, %s", status, errs)
			}
			want := slices.Sorted(slices.Values(append(slices.Clone(before),
				"high/one.wav", "_unknown_/two.wav", "low/three.wav", "high/four.wav")))
			if got := wavs(t, into); !slices.Equal(got, want) {
				t.Errorf("files %q, want %q", got, want)
			}
			set, err := datasets.Open(into, datasets.Options{})
			if err != nil || !slices.Equal(set.Labels, []string{"high", "low", "_unknown_"}) || len(set.Items) != len(want) {
				t.Errorf("as a data set: %v", err)
			}
			out := filepath.Join(t.TempDir(), "m.safetensors")
			if status, _, errs := train(t.Context(), quick(into, out, "--epochs", "1")...); status != program.StatusOK {
				t.Errorf("fit: %d, %s", status, errs)
			}

			// The next time, it is known what is filed; and all can be taken back.
			address, token, end = startReview(t, args...)
			s = stateOf(t, address, token)
			for i, c := range s.Clips {
				if ids[c.Name] = c.ID; c.Filed != "" {
					ask(t, "POST", fmt.Sprintf("%s/v1/clips/%d", address, i), token, `{"folder":""}`, nil)
				}
			}
			if _, errs := end(); !strings.Contains(errs, "4 are filed already") || !strings.Contains(errs, "0 of 5 clips") {
				t.Error(errs)
			}
			if got := wavs(t, into); !slices.Equal(got, before) {
				t.Errorf("taken back: %q", got)
			}
			if _, err := os.Stat(filepath.Join(into, reviewLog)); err == nil {
				t.Error("the log is still there")
			}
		})
	}
}

// TestReviewIsForOnePerson sends requests that others could make.
func TestReviewIsForOnePerson(t *testing.T) {
	clips, into := clipsToReview(t)
	address, token, end := startReview(t, clips, "--into", into)
	defer end()
	for _, c := range []struct {
		method, path, token, body string
		change                    func(*http.Request)
		status                    int
	}{
		{"GET", "/", "", "", nil, 200},
		{"GET", "/review.js", "", "", nil, 200},
		{"GET", "/draw.js", "", "", nil, 200},
		{"GET", "/app.js", "", "", nil, 404},
		{"GET", "/v1/clips", "", "", nil, 401},
		{"GET", "/v1/clips", token + "x", "", nil, 401},
		{"GET", "/v1/clips/0", "", "", nil, 401},
		{"POST", "/v1/clips/0", "", `{"folder":"high"}`, nil, 401},
		{"GET", "/v1/clips/99", token, "", nil, 404},
		{"GET", "/v1/clips/-1", token, "", nil, 404},
		{"GET", "/v1/clips/x", token, "", nil, 404},
		{"DELETE", "/v1/clips/0", token, "", nil, 404},
		{"POST", "/v1/clips/0", token, "high", nil, 400},
		{"POST", "/v1/clips/0", token, `{"folder":"` + strings.Repeat("x", 5000) + `"}`, nil, 400},
		{"POST", "/v1/clips/0", token, `{"folder":"high"}`, func(q *http.Request) {
			q.Header.Set("Sec-Fetch-Site", "cross-site")
		}, 403},
		{"GET", "/v1/clips", token, "", func(q *http.Request) { q.Host = "evil.example" }, 421},
		{"GET", "/", "", "", func(q *http.Request) { q.Host = "evil.example:80" }, 421},
	} {
		if status, text := ask(t, c.method, address+c.path, c.token, c.body, c.change); status != c.status {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.path, status, c.status, text)
		}
	}
	if len(wavs(t, into)) != 8 {
		t.Error("something was filed")
	}
	empty := t.TempDir()
	os.MkdirAll(filepath.Join(empty, "train", "a"), 0o755)
	checkFailure(t, "splits", []string{"review", clips, "--into", empty}, program.StatusUsage, "folders of splits")
	folded := t.TempDir()
	os.MkdirAll(filepath.Join(folded, "Fold 1", "a"), 0o755)
	checkFailure(t, "folds", []string{"review", clips, "--into", folded}, program.StatusUsage, "or folds; name one, such")
	for name, within := range map[string]string{
		"itself": clips, "in it": filepath.Join(clips, "x"), "again": clips + "/.",
	} {
		args := []string{"review", clips, "--into", within}
		checkFailure(t, name, args, program.StatusUsage, "would be reviewed again")
	}
	elsewhere := []string{"review", clips, "--into", into, "--addr", "0.0.0.0:0"}
	checkFailure(t, "elsewhere", elsewhere, program.StatusUsage, "--addr 0.0.0.0:0")
	checkFailure(t, "no clips", []string{"review", t.TempDir(), "--into", into}, program.StatusFailed, "no sound files")
}

// TestReviewPage reviews clips by keyboard, in Chromium.
func TestReviewPage(t *testing.T) {
	need.Long(t, "a browser takes its time")
	path := need.Tool(t, "chromium")
	clips, into := clipsToReview(t)
	address, token, end := startReview(t, clips, "--into", into)
	defer end()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("autoplay-policy", "no-user-gesture-required"))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	do := func(actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatal(err)
		}
	}
	until := func(script string) {
		t.Helper()
		for limit := time.Now().Add(time.Minute); time.Now().Before(limit); time.Sleep(50 * time.Millisecond) {
			ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+script+")", chromedp.EvalAwaitPromise))
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				return
			}
		}
		text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
		t.Fatalf("never: %s\n%s", script, text)
	}
	state := func(done int, title string) {
		t.Helper()
		until(fmt.Sprintf("document.querySelector('#state').textContent === '%d of 5 reviewed'", done))
		until(fmt.Sprintf("document.querySelector('#clip-title').textContent.startsWith(%q)", title))
	}
	do(chromedp.Navigate(address + "/#" + token))
	state(0, "near miss of low, 40.0 %")
	until(`(c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size)(
		document.querySelector('#spectrogram')) > 20`)
	do(chromedp.KeyEvent("y"))
	state(1, "What is this?")  // four.wav
	do(chromedp.KeyEvent("y")) // which nothing was said about
	do(chromedp.KeyEvent("2"))
	state(2, "high")
	do(chromedp.KeyEvent("n"))
	state(3, "high")
	do(chromedp.KeyEvent("u"))
	state(2, "high")
	do(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent("n"))
	state(3, "high")
	do(chromedp.Click(chromedp.CSS("#other")), chromedp.KeyEvent("a b"), chromedp.KeyEvent(kb.Enter))
	state(4, "low")
	do(chromedp.KeyEvent("3"))
	until("document.querySelector('#state').textContent === '5 of 5 reviewed'")
	want := []string{"_unknown_/one.wav", "a b/two.wav", "high/four.wav", "low/five ü.wav", "low/three.wav"}
	got := slices.DeleteFunc(wavs(t, into), func(name string) bool {
		return strings.HasSuffix(name, "high.wav") || strings.HasSuffix(name, "low.wav")
	})
	if !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}
