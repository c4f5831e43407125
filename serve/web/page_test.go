package web_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/need"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/serve"
	"github.com/polyphon/polyphon/serve/web"
)

// breakable accepts connections, all of which can be cut, and refuses new ones while they are.
type breakable struct {
	net.Listener
	mu          sync.Mutex
	connections []net.Conn
	broken      bool
}

func (b *breakable) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		b.mu.Lock()
		broken := b.broken
		if !broken {
			b.connections = append(b.connections, c)
		}
		b.mu.Unlock()
		if !broken {
			return c, nil
		}
		c.Close()
	}
}

func (b *breakable) set(broken bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = broken
	for _, c := range b.connections {
		c.Close()
	}
	b.connections = nil
}

// start serves the embedded models with the page, and returns its address.
func start(t *testing.T, c serve.Config) (string, *breakable) {
	t.Helper()
	c.Page = web.Handler()
	s, err := serve.New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &breakable{Listener: l}
	h := &http.Server{Handler: s.Handler()}
	go h.Serve(b)
	t.Cleanup(func() {
		h.Close()
		s.Close(t.Context()) // which is done: live streams are cut off
	})
	return "http://" + l.Addr().String(), b
}

func example(t *testing.T, word string) []float32 {
	t.Helper()
	clip, err := audio.ReadFile("../../examples/"+word+".wav", 16000)
	if err != nil {
		t.Fatal(err)
	}
	return clip.Samples
}

// speech is a WAV file of some words, with soft noise between them, that a browser plays again and again.
func speech(t *testing.T, words ...string) string {
	t.Helper()
	const rate = 16000
	r := rand.New(rand.NewPCG(1, 2))
	var samples []float32
	pause := func() {
		for range rate {
			samples = append(samples, 0.002*float32(r.NormFloat64()))
		}
	}
	for _, word := range words {
		pause()
		samples = append(samples, example(t, word)...)
	}
	pause()
	path := filepath.Join(t.TempDir(), "microphone.wav")
	f, err := os.Create(path)
	if err == nil {
		err = audio.WriteWAV(f, audio.Clip{Samples: samples, Rate: rate}, audio.Tags{})
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// labels counts the events of a label in the page's list.
func listed(label string) string {
	return fmt.Sprintf("[...document.querySelectorAll('#events .name')].filter(e => e.textContent === %q).length", label)
}

// TestPage goes through what people do with the page: the microphone, its curves, events and thresholds, a connection
// that breaks, clips that are saved, exports.
func TestPage(t *testing.T) {
	need.Long(t, "people take their time")
	saved, downloads := t.TempDir(), t.TempDir()
	address, network := start(t, serve.Config{SaveDir: saved})
	b := browse(t, address, speech(t, "left", "stop"))
	b.look(1280, 900, "light", "no-preference")
	b.until("!document.querySelector('#microphone').disabled")
	paint := "performance.getEntriesByName('first-contentful-paint')[0]"
	b.until(paint)
	t.Logf("first paint after %.0f ms", value[float64](b, paint+".startTime"))

	for range 10 { // by keyboard
		b.do(chromedp.KeyEvent(kb.Tab))
		if value[string](b, "document.activeElement.id") == "microphone" {
			break
		}
	}
	expect(b, "document.activeElement.id", "microphone")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until("document.querySelector('#state').textContent === 'Listening'")
	b.until("[...document.querySelectorAll('#labels .over .name')].some(e => e.textContent === 'left')")
	b.until(listed("left") + " && " + listed("stop"))
	expect(b, listed("zero"), 0)
	b.until("/^[0-9]\\.[0-9]{2} s$/.test(document.querySelector('#latency').textContent)")
	t.Logf("latency %s", value[string](b, "document.querySelector('#latency').textContent"))
	for canvas, colours := range map[string]int{"#spectrogram": 40, "#labels .curve": 3, "#timeline": 3} {
		colour := fmt.Sprintf(`(c => new Set(new Uint32Array(
			c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size)(document.querySelector(%q))`, canvas)
		if got := value[int](b, colour); got < colours {
			t.Errorf("%s has %d colours", canvas, got)
		}
	}

	b.do(chromedp.Focus(chromedp.CSS("#timeline"), chromedp.NodeVisible), chromedp.KeyEvent(kb.Home),
		chromedp.KeyEvent(kb.PageDown))
	b.until("/, (left|stop)$/.test(document.querySelector('#timeline').getAttribute('aria-valuetext'))")

	value[*int](b, `(start => void (AudioBufferSourceNode.prototype.start = function () {
		window.played = this.buffer.duration;
		return start.call(this);
	}))(AudioBufferSourceNode.prototype.start)`)
	b.do(chromedp.KeyEvent(kb.Enter)) // an event with what surrounds it
	b.until("played > 0.5 && played < 3")
	value[*int](b, "void (played = 0)")
	b.do(chromedp.Click(chromedp.CSS("#events .play")))
	b.until("played > 0.5 && played < 3")

	// Thresholds act at once, on the stream that there is.
	slide := `(v => {
		const s = document.querySelector('#threshold-all');
		s.value = v;
		s.dispatchEvent(new Event('input'));
	})`
	b.do(chromedp.Click(chromedp.CSS("#microphone")))
	b.until("document.querySelector('#state').textContent === 'Microphone off'")
	value[*int](b, slide+"(1)")
	expect(b, "document.querySelector('#labels output').value", "1.00")
	before := value[int](b, listed("left"))
	b.do(chromedp.Click(chromedp.CSS("#microphone")))
	b.until("document.querySelector('#state').textContent === 'Listening'")
	time.Sleep(6 * time.Second) // more than a round of what the microphone plays
	expect(b, listed("left"), before)
	value[*int](b, slide+"(0.8)")
	b.until(listed("left") + fmt.Sprintf(" > %d", before))
	b.do(chromedp.Click(chromedp.CSS("#threshold-reset")))
	b.clean()

	network.set(true)
	b.until("document.querySelector('#state').dataset.state === 'waiting'")
	b.screenshot("broken")
	network.set(false)
	b.until("document.querySelector('#state').textContent === 'Listening'")
	before = value[int](b, listed("left"))
	b.until(listed("left") + fmt.Sprintf(" > %d", before))
	for _, fault := range b.reported() {
		if !strings.Contains(fault, "net::ERR") && !strings.Contains(fault, "WebSocket") {
			t.Errorf("on the console: %s", fault)
		}
	}

	b.clips(saved)
	b.do(chromedp.SetValue(chromedp.CSS("#model"), "small"))
	value[*int](b, "void document.querySelector('#model').dispatchEvent(new Event('change'))")
	expect(b, "document.querySelector('#labels .value').textContent", "–")
	b.until("document.querySelector('#state').textContent === 'Listening'")
	b.until("document.querySelector('#labels .value').textContent !== '–'")
	b.exports(downloads)
	b.clean()
}

// clips saves an event that was wrong and a word that was missed.
func (b *tab) clips(dir string) {
	b.t.Helper()
	for button, label := range map[string]string{"#events .wrong": "_unknown_", "#missed": "go"} {
		b.do(chromedp.Click(chromedp.CSS(button), chromedp.NodeVisible))
		b.until("document.querySelector('#clip-dialog').open")
		b.do(chromedp.Click(chromedp.CSS("#clip-save"), chromedp.NodeVisible))
		expect(b, "document.querySelector('#clip-dialog').open", true) // without a label, nothing is saved
		b.do(chromedp.SetValue(chromedp.CSS("#clip-label"), label), chromedp.Click(chromedp.CSS("#clip-save")))
		b.until(fmt.Sprintf("[...document.querySelectorAll('.notice')].some(e => e.textContent.startsWith(%q))",
			"Saved as "+label+"/"))
		files, err := filepath.Glob(filepath.Join(dir, label, "*.wav"))
		if err != nil || len(files) != 1 {
			b.t.Errorf("%s: saved %q, %v", label, files, err)
			continue
		}
		clip, err := audio.ReadFile(files[0], 16000)
		if seconds := float64(len(clip.Samples)) / float64(max(1, clip.Rate)); err != nil || seconds < 0.99 || seconds > 2 {
			b.t.Errorf("%s: a clip of %v s, %v", label, seconds, err)
		}
	}
}

// exports downloads the labels and compares them with the list.
func (b *tab) exports(dir string) {
	b.t.Helper()
	_, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir,
	})
	b.must(err)
	b.do(chromedp.Click(chromedp.CSS("#microphone"))) // no further events
	b.until("document.querySelector('#state').textContent === 'Microphone off'")
	// What was found before the end still arrives, so that the list may become longer around an export.
	events := func() int { return value[int](b, "document.querySelectorAll('#events li').length") }
	for button, file := range map[string]string{
		"#export-audacity": "polyphon.labels.txt", "#export-csv": "polyphon.csv", "#export-sound": "polyphon-from-0.000s.wav",
	} {
		least := events()
		b.do(chromedp.Click(chromedp.CSS(button)))
		most := events()
		path := filepath.Join(dir, file)
		for range 200 {
			if _, err = os.Stat(path); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		content, err := os.ReadFile(path)
		b.must(err)
		lines := strings.Split(strings.TrimSpace(string(content)), "\n")
		switch file {
		case "polyphon.labels.txt":
			var start, end float64
			var label string
			_, err := fmt.Sscanf(lines[0], "%f\t%f\t%s", &start, &end, &label)
			if n := len(lines); err != nil || n < least || n > most || start >= end || label != "left" && label != "stop" {
				b.t.Errorf("%d to %d events, %d lines, the first one %q", least, most, n, lines[0])
			}
		case "polyphon.csv":
			n := len(lines) - 1
			if n < least || n > most || lines[0] != "kind,time,start,end,clock,label,p" {
				b.t.Errorf("%d to %d events, %d lines, the first one %q", least, most, n, lines[0])
			}
		default:
			if clip, err := audio.ReadFile(path, 16000); err != nil || len(clip.Samples) < 10*clip.Rate {
				b.t.Errorf("%d samples, %v", len(clip.Samples), err)
			}
		}
	}
}

// TestFiles drops and chooses files, which are answered as by the command.
func TestFiles(t *testing.T) {
	address, _ := start(t, serve.Config{})
	b := browse(t, address, speech(t, "yes"))
	b.until("!document.querySelector('#model').disabled")
	recognizer, err := polyphon.New(models.Base())
	b.must(err)
	defer recognizer.Close()
	var drops []string
	want := map[string]string{}
	for _, word := range []string{"left", "yes", "happy"} {
		path := "../../examples/" + word + ".wav"
		content, err := os.ReadFile(path)
		b.must(err)
		drops = append(drops, fmt.Sprintf("[%q, %q]", word+".wav", base64.StdEncoding.EncodeToString(content)))
		scores, err := recognizer.ClassifyFile(path)
		b.must(err)
		want[word+".wav"] = fmt.Sprintf("%s %.1f %%", scores[0].Label, 100*scores[0].P)
	}
	drops = append(drops, `["broken <b>.wav", ""]`)
	value[*int](b, fmt.Sprintf(`(files => {
		const data = new DataTransfer();
		for (const [name, content] of files) {
			data.items.add(new File([Uint8Array.from(atob(content), c => c.charCodeAt(0))], name));
		}
		document.querySelector('#drop').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }));
	})([%s])`, strings.Join(drops, ",")))
	b.until("document.querySelectorAll('#files > li').length === 4 && !document.querySelector('#files .busy')")
	answer := "[...document.querySelectorAll('#files > li')].find(e => e.firstChild.textContent === %q)" +
		".children[1].textContent"
	for name, text := range want {
		expect(b, fmt.Sprintf(answer, name), text)
	}
	if text := value[string](b, fmt.Sprintf(answer, "broken <b>.wav")); text == "" || strings.Contains(text, "%") {
		t.Errorf("an empty file: %q", text)
	}
	path, err := filepath.Abs("../../examples/stop.wav")
	b.must(err)
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{path}))
	b.until("document.querySelectorAll('#files > li').length === 5 && !document.querySelector('#files .busy')")
	expect(b, "document.querySelector('#files > li:last-child strong').textContent", "stop")
	b.do(chromedp.SetValue(chromedp.CSS("#model"), "small"))
	value[*int](b, "void document.querySelector('#model').dispatchEvent(new Event('change'))")
	b.do(chromedp.Click(chromedp.CSS("#files-clear")))
	expect(b, "document.querySelectorAll('#files > li').length", 0)
	for _, fault := range b.reported() {
		if !strings.Contains(fault, "status of 4") { // the empty file
			t.Errorf("on the console: %s", fault)
		}
	}
}

// TestToken enters the token that the server wants.
func TestToken(t *testing.T) {
	address, _ := start(t, serve.Config{Token: []byte("s3cret-Token")})
	b := browse(t, address, speech(t, "left"))
	b.until("document.querySelector('#access-dialog').open")
	b.do(chromedp.SendKeys(chromedp.CSS("#token"), "wrong\r"))
	b.until("document.querySelector('#access-dialog').open && document.querySelector('#token').value === 'wrong'")
	value[string](b, "document.querySelector('#token').value = ''")
	b.do(chromedp.SendKeys(chromedp.CSS("#token"), "s3cret-Token\r"))
	b.until("!document.querySelector('#microphone').disabled")
	expect(b, "sessionStorage.getItem('polyphon.token')", "s3cret-Token")
	b.do(chromedp.Click(chromedp.CSS("#microphone"), chromedp.NodeVisible))
	b.until(listed("left"))
}

// TestInsecure opens the page by a name over plain HTTP, where browsers have no microphone: it says so.
func TestInsecure(t *testing.T) {
	address, _ := start(t, serve.Config{})
	b := browse(t, strings.Replace(address, "127.0.0.1", "sound.example", 1), "",
		chromedp.Flag("host-resolver-rules", "MAP sound.example 127.0.0.1"))
	b.until("!document.querySelector('#microphone').disabled")
	b.do(chromedp.Click(chromedp.CSS("#microphone")))
	b.until("document.querySelector('.notice')?.textContent.includes('--tls-cert')")
	expect(b, "document.querySelector('#state').textContent", "Microphone off")
	b.clean()
}

// TestLook audits the page in sizes and colours, with and without its dialogs, while it has something to show.
func TestLook(t *testing.T) {
	need.Long(t, "many pictures")
	address, _ := start(t, serve.Config{SaveDir: t.TempDir()})
	b := browse(t, address, speech(t, "left", "stop", "yes"))
	b.look(1280, 900, "light", "reduce")
	b.until("!document.querySelector('#microphone').disabled")
	b.screenshot("idle")
	b.audit("idle")
	b.do(chromedp.Click(chromedp.CSS("#microphone")))
	var files []string
	for _, word := range []string{"left", "happy"} {
		path, err := filepath.Abs("../../examples/" + word + ".wav")
		b.must(err)
		files = append(files, path)
	}
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), files))
	b.until(listed("left") + " && " + listed("stop") + " && " + listed("yes"))
	for _, c := range []struct {
		name          string
		width, height int64
		scheme        string
	}{
		{"light", 1280, 1400, "light"}, {"dark", 1280, 1400, "dark"}, {"tablet", 820, 2200, "light"},
		{"phone", 390, 3200, "light"}, {"phone-dark", 390, 3200, "dark"}, {"narrow", 320, 3200, "light"},
	} {
		b.look(c.width, c.height, c.scheme, "reduce")
		time.Sleep(1500 * time.Millisecond) // with less motion it is drawn once a second
		b.screenshot(c.name)
		b.audit(c.name)
		expect(b, "document.documentElement.scrollWidth <= innerWidth", true)
	}
	for _, dialog := range []string{"access", "missed"} {
		b.look(390, 844, "light", "reduce")
		b.do(chromedp.Click(chromedp.CSS("#" + dialog)))
		b.until("document.querySelector('dialog[open]')")
		b.screenshot(dialog)
		b.audit(dialog)
		b.do(chromedp.Click(chromedp.CSS("dialog[open] .cancel")))
	}
	b.clean()
}
