package report

import (
	_ "embed"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/internal/need"
)

//go:embed testdata/look.js
var look string

// TestBrowser opens a report in Chromium, in light colours on a screen and in dark ones on a phone, with a script
// beside its own that looks at it: every picture is there, every player plays, one at a time, nothing is wider than the
// phone, tables can be scrolled by keyboard, and nothing is reported on the console.
func TestBrowser(t *testing.T) {
	chromium := need.Tool(t, "chromium")
	dir, page := written(t, testInput(t))
	page = strings.Replace(page, "script-src ", "script-src "+html.EscapeString(hash(look))+" ", 1)
	page = strings.Replace(page, "<title>", "<script>"+look+"</script>\n<title>", 1)
	// Windows of Chromium are at least 500 pixels wide: a phone is a frame.
	phone := `<!DOCTYPE html><iframe src="look.html" style="width: 360px; height: 800px; border: 0"></iframe><script>
		addEventListener('message', e => Object.assign(document.documentElement.dataset, e.data))</script>`
	for name, text := range map[string]string{"look.html": page, "phone.html": phone} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		file, scheme, dark string
	}{
		"light": {"look.html", "1", "0 of 8"},
		"phone": {"phone.html", "0", "8 of 8"},
	} {
		t.Run(name, func(t *testing.T) {
			var found map[string]string
			for budget := 20; found["faults"] == "" && budget <= 320; budget *= 4 { // a busy machine's players are slow
				found = browse(t, chromium, filepath.Join(dir, c.file), c.scheme, budget)
			}
			want := map[string]string{
				"pictures": "8 of 8", "dark": c.dark, "played": "3 of 3", "playing": "1", "beyond": "0", "focused": "0",
				"skip": "#main true", "faults": "[]", "broken": "",
			}
			for key, value := range want {
				if found[key] != value {
					t.Errorf("%s: %q, want %q", key, found[key], value)
				}
			}
		})
	}
}

// browse opens a file, for so many seconds by its clock, and returns the data attributes of its root.
func browse(t *testing.T, chromium, path, scheme string, budget int) map[string]string {
	t.Helper()
	var dom, log strings.Builder
	c := exec.CommandContext(t.Context(), chromium, "--headless", "--no-sandbox", "--disable-gpu",
		"--user-data-dir="+t.TempDir(), "--blink-settings=preferredColorScheme="+scheme, "--window-size=1200,800",
		"--autoplay-policy=no-user-gesture-required", fmt.Sprintf("--virtual-time-budget=%d", 1000*budget),
		"--enable-logging=stderr", "--dump-dom", "file://"+path)
	c.Stdout, c.Stderr, c.WaitDelay = &dom, &log, time.Second
	if err := c.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, log.String())
	}
	for _, line := range strings.Split(log.String(), "\n") {
		if strings.Contains(line, ":CONSOLE") {
			t.Errorf("on the console: %s", line)
		}
	}
	found := map[string]string{}
	root := regexp.MustCompile(`<html[^>]*>`).FindString(dom.String())
	for _, data := range regexp.MustCompile(`data-([a-z]+)="([^"]*)"`).FindAllStringSubmatch(root, -1) {
		found[data[1]] = html.UnescapeString(data[2])
	}
	return found
}
