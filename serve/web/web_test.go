package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/serve/web"
)

func get(t *testing.T, method, path string, header map[string]string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, nil)
	for key, value := range header {
		r.Header.Set(key, value)
	}
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, r)
	return w.Result()
}

// TestHandler asks for files of the page and for what is none.
func TestHandler(t *testing.T) {
	tag := get(t, "GET", "/", nil).Header.Get("Etag")
	for _, c := range []struct {
		method, path, none string // none: If-None-Match
		status             int
		contentType        string
	}{
		{"GET", "/", "", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", "", 200, "text/html; charset=utf-8"},
		{"GET", "/", tag, 304, "text/html; charset=utf-8"},
		{"GET", "/", `"other"`, 200, "text/html; charset=utf-8"},
		{"POST", "/", "", 405, "text/plain; charset=utf-8"},
		{"GET", "/style.css", "", 200, "text/css; charset=utf-8"},
		{"GET", "/app.js", "", 200, "text/javascript; charset=utf-8"},
		{"GET", "/worklet.js", "", 200, "text/javascript; charset=utf-8"},
		{"GET", "/icon.svg", "", 200, "image/svg+xml"},
		{"GET", "/index.html", "", 404, "text/plain; charset=utf-8"},
		{"GET", "/files/app.js", "", 404, "text/plain; charset=utf-8"},
		{"GET", "/../web.go", "", 404, "text/plain; charset=utf-8"},
		{"POST", "/v1/unknown", "", 404, "text/plain; charset=utf-8"},
	} {
		answer := get(t, c.method, c.path, map[string]string{"If-None-Match": c.none})
		if got := answer.Header.Get("Content-Type"); answer.StatusCode != c.status || got != c.contentType {
			t.Errorf("%s %s: %d, %q, want %d, %q", c.method, c.path, answer.StatusCode, got, c.status, c.contentType)
		}
		body, _ := io.ReadAll(answer.Body)
		if empty := c.method == "HEAD" || c.status == 304; empty != (len(body) == 0) {
			t.Errorf("%s %s: a body of %d bytes", c.method, c.path, len(body))
		}
	}
}

// TestPolicy checks what the page's headers allow, whatever a client says its host is.
func TestPolicy(t *testing.T) {
	for host, want := range map[string]string{
		"127.0.0.1:8080":       "connect-src 'self' ws://127.0.0.1:8080 wss://127.0.0.1:8080;",
		"sound.example":        "connect-src 'self' ws://sound.example wss://sound.example;",
		"[::1]:8080":           "connect-src 'self' ws://[::1]:8080 wss://[::1]:8080;",
		"a; script-src *":      "connect-src 'self';",
		"evil.example *":       "connect-src 'self';",
		"a.example, b.example": "connect-src 'self';",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		web.Handler().ServeHTTP(w, r)
		policy, begin := w.Header().Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self';"
		if !strings.Contains(policy, want) || !strings.HasPrefix(policy, begin) {
			t.Errorf("host %q: %q lacks %q", host, policy, want)
		}
	}
}

// TestWhole follows every reference of the page and its scripts: each file is there, none comes from elsewhere, there
// is no script or style that the policy forbids, and all of them have less than 200 kB.
func TestWhole(t *testing.T) {
	references := regexp.MustCompile(`(?:src|href)="([^"]*)"|from '\./([^']*)'|addModule\('([^']*)'\)`)
	forbidden := regexp.MustCompile(`<script>|<style|\sstyle="|\son[a-z]+="|eval\(|innerHTML|https?://`)
	size, seen, waiting := 0, map[string]bool{"": true}, []string{""}
	for len(waiting) > 0 {
		name := waiting[0]
		waiting = waiting[1:]
		answer := get(t, "GET", "/"+name, nil)
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("/%s: %s, %v", name, answer.Status, err)
			continue
		}
		size += len(body)
		text := strings.ReplaceAll(string(body), `xmlns="http://www.w3.org/2000/svg"`, "")
		if found := forbidden.FindString(text); found != "" {
			t.Errorf("/%s has %s", name, found)
		}
		for _, match := range references.FindAllStringSubmatch(text, -1) {
			next := match[1] + match[2] + match[3]
			if strings.HasPrefix(next, "#") || strings.HasPrefix(next, "v1/") || seen[next] {
				continue // a place in the page, or the server's
			}
			seen[next] = true
			waiting = append(waiting, next)
		}
	}
	if len(seen) < 10 || size < 10_000 || size > 200_000 {
		t.Errorf("%d files of %d bytes together", len(seen), size)
	}
}
