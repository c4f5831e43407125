package web_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/internal/pulsetest"
	"github.com/polyphon/polyphon/serve"
)

// firefox is a tab of a headless Firefox, spoken to by WebDriver BiDi.
type firefox struct {
	t       *testing.T
	conn    *websocket.Conn
	sent    int
	context string
	faults  []string // that were logged
}

func openFirefox(t *testing.T, address string) *firefox {
	t.Helper()
	profile := t.TempDir()
	preferences := []byte(`user_pref("media.navigator.permission.disabled", true);`) // it does not ask
	if err := os.WriteFile(filepath.Join(profile, "user.js"), preferences, 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), need.Tool(t, "firefox-esr"), "--headless", "--profile", profile,
		"--remote-debugging-port=0", "--no-remote")
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "MOZ_CRASHREPORTER_DISABLE=1")
	output, err := c.StderrPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	listening := regexp.MustCompile(`WebDriver BiDi listening on (ws://\S+)`)
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if match := listening.FindStringSubmatch(lines.Text()); match != nil {
			f := &firefox{t: t}
			if f.conn, _, err = websocket.Dial(t.Context(), match[1]+"/session", nil); err != nil {
				t.Fatal(err)
			}
			f.conn.SetReadLimit(1 << 26)
			go func() {
				for lines.Scan() { // so that it can go on writing
				}
			}()
			f.begin(address)
			return f
		}
	}
	t.Fatalf("firefox ended: %v", lines.Err())
	return nil
}

func (f *firefox) begin(address string) {
	f.t.Helper()
	f.call("session.new", map[string]any{"capabilities": map[string]any{}}, nil)
	var tree struct {
		Contexts []struct{ Context string }
	}
	f.call("browsingContext.getTree", map[string]any{}, &tree)
	f.context = tree.Contexts[0].Context
	f.call("session.subscribe", map[string]any{"events": []string{"log.entryAdded"}}, nil)
	f.call("browsingContext.navigate", map[string]any{"context": f.context, "url": address, "wait": "complete"}, nil)
}

// call runs a command, and notes what the page logs meanwhile.
func (f *firefox) call(method string, parameters map[string]any, result any) {
	f.t.Helper()
	f.sent++
	err := wsjson.Write(f.t.Context(), f.conn, map[string]any{"id": f.sent, "method": method, "params": parameters})
	for err == nil {
		var answer struct {
			ID             int
			Method         string
			Params, Result json.RawMessage
			Error, Message string
		}
		if err = wsjson.Read(f.t.Context(), f.conn, &answer); err != nil {
			break
		}
		switch {
		case answer.Method != "":
			f.faults = append(f.faults, string(answer.Params))
		case answer.ID == f.sent && answer.Error != "":
			f.t.Fatalf("%s: %s: %s", method, answer.Error, answer.Message)
		case answer.ID == f.sent && result != nil:
			err = json.Unmarshal(answer.Result, result)
			fallthrough
		case answer.ID == f.sent:
			if err == nil {
				return
			}
		}
	}
	f.t.Fatalf("%s: %v", method, err)
}

// value evaluates JavaScript that gives a text.
func (f *firefox) value(script string) string {
	f.t.Helper()
	var answer struct {
		Result           struct{ Value string }
		ExceptionDetails struct{ Text string }
	}
	f.call("script.evaluate", map[string]any{
		"expression": "(async () => String(" + script + "))()", "awaitPromise": true, "userActivation": true,
		"target": map[string]any{"context": f.context},
	}, &answer)
	if answer.ExceptionDetails.Text != "" {
		f.t.Fatalf("%s: %s", script, answer.ExceptionDetails.Text)
	}
	return answer.Result.Value
}

func (f *firefox) until(script string) {
	f.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if f.value("Boolean("+script+")") == "true" {
			return
		}
	}
	f.t.Fatalf("never: %s\n%s\n%q", script, f.value("document.body.innerText"), f.faults)
}

func (f *firefox) screenshot(name string) {
	f.t.Helper()
	dir := os.Getenv("POLYPHON_SCREENSHOTS")
	if dir == "" {
		return
	}
	var picture struct{ Data []byte }
	f.call("browsingContext.captureScreenshot", map[string]any{"context": f.context, "origin": "document"}, &picture)
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture.Data, 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// TestFirefox has the page find a word that is played into a microphone of PulseAudio, and classify a file, in Firefox.
func TestFirefox(t *testing.T) {
	need.Long(t, "a second browser")
	sound := pulsetest.Start(t)
	address, _ := start(t, serve.Config{})
	f := openFirefox(t, address)
	f.until("!document.querySelector('#microphone').disabled")
	f.value("document.querySelector('#microphone').click()")
	f.until("document.querySelector('#state').textContent === 'Listening'")
	f.until("/[0-9] %/.test(document.querySelector('#labels .value').textContent)")
	content, err := os.ReadFile("../../examples/left.wav")
	if err != nil {
		t.Fatal(err)
	}
	event := "document.querySelector('#events .name')?.textContent"
	for tries := 0; tries < 10 && f.value(event) != "left"; tries++ { // a busy browser loses sound
		sound.Play(content[44:])
		time.Sleep(2 * time.Second)
	}
	f.until(event + " === 'left'")
	f.until(`(c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size)(
		document.querySelector('#spectrogram')) > 40`)
	f.value(fmt.Sprintf(`(content => {
		const data = new DataTransfer();
		data.items.add(new File([Uint8Array.from(atob(content), c => c.charCodeAt(0))], 'left.wav'));
		document.querySelector('#drop').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }));
	})(%q)`, base64.StdEncoding.EncodeToString(content)))
	f.until("document.querySelector('#files > li:not(.busy)')")
	if got := f.value("document.querySelector('#files .answer').textContent"); !strings.HasPrefix(got, "left ") {
		t.Errorf("left.wav: %q", got)
	}
	f.screenshot("firefox")
	f.value("document.querySelector('#microphone').click()")
	f.until("document.querySelector('#state').textContent === 'Microphone off'")
	for _, fault := range f.faults {
		t.Errorf("on the console: %s", fault)
	}
}
