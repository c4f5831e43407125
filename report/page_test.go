package report

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"html"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/training"
)

// written writes a report and returns its folder and page.
func written(t *testing.T, in Input) (dir, page string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "report")
	size, err := Write(dir, in, false)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil || len(text) != size {
		t.Fatalf("%d bytes of %d, error %v", len(text), size, err)
	}
	return dir, string(text)
}

// TestPage checks what the page says, that it needs nothing else, and that names are text in it.
func TestPage(t *testing.T) {
	in := testInput(t)
	in.History = []training.Epoch{{Epoch: 1, Loss: 2, ValidAccuracy: 50, ValidNLL: 1.5}, {Epoch: 2, Loss: 1, Best: true}}
	dir, page := written(t, in)
	for _, want := range []string{
		"Report on a &lt;b&gt;model&lt;/b&gt;", "2 of 12 clips are classified wrongly.", "A note.", "There are no epochs.",
		"<td>83</td>", "9 clips of words, 3 of _unknown_", `lang="en"`, "prefers-color-scheme: dark", `href="#main"`,
		"Probability of the answer left",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(page, "<script>document") || strings.Count(page, "<script") != 1 {
		t.Error("a label is a script")
	}
	for _, address := range regexp.MustCompile(`(?:src|href|srcset)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		target := address[1]
		if file, err := os.Stat(filepath.Join(dir, target)); !strings.HasPrefix(target, "data:") &&
			!(strings.HasPrefix(target, "#") && strings.Contains(page, `id="`+target[1:]+`"`)) &&
			(err != nil || file.IsDir()) {
			t.Errorf("the page leads to %.60s", target)
		}
	}
	for _, img := range regexp.MustCompile(`<img[^>]*>`).FindAllString(page, -1) {
		if !regexp.MustCompile(`alt="[^"]{20,}"`).MatchString(img) {
			t.Errorf("a picture without a text: %.60s", img)
		}
	}
	if tables := strings.Count(page, "<table>"); tables == 0 || strings.Count(page, "<caption") != tables ||
		strings.Count(page, `role="region"`) != tables+1 { // and the confusion matrix
		t.Errorf("%d tables, %d captions", tables, strings.Count(page, "<caption"))
	}
}

// TestFilesOfReport reads every file that is written.
func TestFilesOfReport(t *testing.T) {
	in := testInput(t)
	in.History = []training.Epoch{{Epoch: 1, Loss: 2}, {Epoch: 2, Loss: 1}}
	dir, _ := written(t, in)
	lines := map[string]int{}
	for _, name := range listing(t, dir) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		switch filepath.Ext(name) {
		case ".png":
			if img, err := png.Decode(bytes.NewReader(content)); err != nil || img.Bounds().Dx() < 300 {
				t.Errorf("%s: error %v", name, err)
			}
		case ".svg":
			for d := xml.NewDecoder(bytes.NewReader(content)); err == nil; {
				_, err = d.Token()
			}
			if err != io.EOF {
				t.Errorf("%s: %v", name, err)
			}
		case ".csv":
			rows, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			lines[name] = len(rows) - 1
		case ".wav":
			c, err := audio.ReadFile(filepath.Join(dir, name), 16000)
			if err != nil || len(c.Samples) != in.Model.WindowSamples() {
				t.Errorf("%s: %d samples, error %v", name, len(c.Samples), err)
			}
		}
	}
	cells := in.Model.Features.Frames(in.Model.WindowSamples()) * in.Model.Features.Mels
	for name, want := range map[string]int{
		"learning.csv": 2, "labels.csv": 4, "confusion.csv": 4, "reliability.csv": 2 * calibrate.Bins, "errors.csv": 2,
		"error-001.csv": cells, "error-002.csv": cells, "typical.csv": cells,
	} {
		if lines[name] != want {
			t.Errorf("%s has %d rows, want %d", name, lines[name], want)
		}
	}
	errs, err := os.ReadFile(filepath.Join(dir, "errors.csv"))
	if rows, _ := csv.NewReader(bytes.NewReader(errs)).ReadAll(); err != nil || rows[1][1] != in.Model.Labels[3] ||
		rows[1][2] != "left" {
		t.Errorf("errors.csv: %q", rows)
	}
}

// TestPolicy holds that the page allows this style and this script alone.
func TestPolicy(t *testing.T) {
	_, page := written(t, testInput(t))
	policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)[1]
	policy = html.UnescapeString(policy)
	for element, name := range map[string]string{"style": "style-src", "script": "script-src"} {
		text := regexp.MustCompile(`(?s)<` + element + `>(.*?)</` + element + `>`).FindStringSubmatch(page)[1]
		if !strings.Contains(policy, name+" "+hash(text)) {
			t.Errorf("%s: the policy does not have the hash of what the page has: %s", element, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || !strings.HasPrefix(policy, "default-src 'none'") {
		t.Errorf("policy %s", policy)
	}
}

// TestNoErrors shows a model that is always right, of one kind of clips, without a history.
func TestNoErrors(t *testing.T) {
	in := testInput(t)
	in.Raw = calibrate.Logits{Classes: 4, Values: []float64{3, 0, 0, 0, 3, 0, 0, 0}, Truth: []int{0, 0}}
	in.Names, in.Worst = in.Names[:2], 0
	dir, page := written(t, in)
	for _, want := range []string{"0 of 2 clips are classified wrongly.", "There is no such curve: 2 of the clips"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "learning.png")); err == nil {
		t.Error("there are learning curves of no epochs")
	}
}

// TestWriteErrors holds that a clip that cannot be read again, and an impossible Input, leave nothing behind.
func TestWriteErrors(t *testing.T) {
	broken := errors.New("the file is gone")
	for name, change := range map[string]func(in *Input){
		"clip":  func(in *Input) { in.Samples = func(int) ([]float32, error) { return nil, broken } },
		"names": func(in *Input) { in.Names = in.Names[1:] },
		"worst": func(in *Input) { in.Worst = MaxWorst + 1 },
		"raw":   func(in *Input) { in.Raw = calibrate.Logits{Classes: 4} },
	} {
		in, home := testInput(t), t.TempDir()
		change(&in)
		if _, err := Write(filepath.Join(home, "report"), in, false); err == nil || len(listing(t, home)) != 0 {
			t.Errorf("%s: error %v, %v is left", name, err, listing(t, home))
		}
	}
}

// TestPictureInPage holds that the page has the same pictures as the folder.
func TestPictureInPage(t *testing.T) {
	dir, page := written(t, testInput(t))
	for _, name := range []string{"confusion.svg", "reliability.svg", "error-001.svg"} {
		file, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(html.UnescapeString(page), base64.StdEncoding.EncodeToString(file)) {
			t.Errorf("%s is not in the page; error %v", name, err)
		}
	}
}
