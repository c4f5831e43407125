package web_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/polyphon/polyphon/internal/need"
)

// tab is one of a headless Chromium, whose microphone plays a WAV file, with what went wrong in it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	faults []string
}

// browse opens the page at an address, in a browser with more options.
func browse(t *testing.T, address, microphone string, more ...chromedp.ExecAllocatorOption) *tab {
	t.Helper()
	path := need.Tool(t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900),
		chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("use-file-for-fake-audio-capture", microphone),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"))
	options = append(options, more...)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, close := chromedp.NewContext(ctx)
	t.Cleanup(close)
	b := &tab{t: t, ctx: ctx}
	b.must(chromedp.Do(ctx)) // starts it
	b.must(chromedp.Listen(ctx, b.watch))
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	b.must(err)
	b.do(chromedp.Navigate(address))
	return b
}

// watch notes what a page without faults does not report.
func (b *tab) watch(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		b.faults = append(b.faults, fmt.Sprintf("console.%s %s", e.Type, e.Args[0].Value))
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, fmt.Sprintf("%s %s", e.ExceptionDetails.Text, e.ExceptionDetails.Exception.Description))
	case *log.EventEntryAdded:
		b.faults = append(b.faults, fmt.Sprintf("%s: %s", e.Entry.Level, e.Entry.Text))
	}
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, actions...))
}

// value evaluates JavaScript.
func value[T any](b *tab, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	b.must(err)
	return v
}

// until waits until JavaScript is true.
func (b *tab) until(script string) {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if value[bool](b, "Boolean("+script+")") {
			return
		}
	}
	b.screenshot("failed")
	b.t.Fatalf("never: %s\n%s\n%q", script, value[string](b, "document.body.innerText"), b.faults)
}

// look shows the page in a size and scheme, as people who prefer less motion see it or others.
func (b *tab) look(width, height int64, scheme, motion string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 500,
	})
	b.must(err)
	_, err = chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion},
		},
	})
	b.must(err)
}

// expect compares what JavaScript gives.
func expect[T comparable](b *tab, script string, want T) {
	b.t.Helper()
	if got := value[T](b, script); got != want {
		b.t.Errorf("%s: %v, want %v", script, got, want)
	}
}

// clean fails if anything was reported since the last call.
func (b *tab) clean() {
	b.t.Helper()
	for _, fault := range b.reported() {
		b.t.Errorf("on the console: %s", fault)
	}
}

// reported returns and forgets what was reported.
func (b *tab) reported() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	faults := b.faults
	b.faults = nil
	return faults
}

// audit has axe-core, which POLYPHON_AXE names the file of, look at the page as it is shown now.
func (b *tab) audit(name string) {
	b.t.Helper()
	source, err := os.ReadFile(os.Getenv("POLYPHON_AXE"))
	need.Host(b.t, "POLYPHON_AXE names no axe.min.js", err)
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Evaluate[bool](string(source)+"; true")(ctx, t)
		return err
	}))
	for _, fault := range value[[]string](b, `axe.run().then(r => r.violations.map(v =>
		[v.impact, v.id, v.help, ...v.nodes.map(n => n.html.slice(0, 200))].join(' | ')))`) {
		b.t.Errorf("%s: %s", name, fault)
	}
}

// screenshot writes the page to the folder that POLYPHON_SCREENSHOTS names, if it does.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	dir := os.Getenv("POLYPHON_SCREENSHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	b.must(err)
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
