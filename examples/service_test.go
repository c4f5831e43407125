package examples

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/internal/need"
)

// read returns a file of the examples of operation.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("service", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tool runs an installed program in the folder of the examples of operation.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), need.Tool(t, name), args...)
	cmd.Dir = "service"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, out)
	}
}

// TestUnit has systemd check the unit, and rate what the service could do to its system.
func TestUnit(t *testing.T) {
	unit := filepath.Join(t.TempDir(), "polyphon.service")
	text := strings.ReplaceAll(read(t, "polyphon.service"), "/usr/local/bin/classify", "/bin/true") // it is installed
	if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	tool(t, "systemd-analyze", "verify", unit)
	tool(t, "systemd-analyze", "security", "--offline=true", "--threshold=15", unit) // of 100
}

func TestAlerts(t *testing.T) {
	tool(t, "promtool", "check", "config", "--syntax-only", "prometheus.yml")
	tool(t, "promtool", "check", "rules", "alerts.yml")
	tool(t, "promtool", "test", "rules", "alerts_test.yml")
}

// expressions returns the queries of the dashboard, with its variables replaced.
func expressions(t *testing.T) (list []string) {
	t.Helper()
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, RefID, LegendFormat string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &board); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range board.Panels {
		if p.Title == "" || seen[p.ID] || len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H == 0 {
			t.Errorf("panel %+v", p)
		}
		seen[p.ID] = true
		for _, target := range p.Targets {
			list = append(list, strings.ReplaceAll(target.Expr, "$instance", ".*"))
		}
	}
	return list
}

// TestDashboard has promtool parse the dashboard's queries, as rules.
func TestDashboard(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	list := expressions(t)
	for i, e := range list {
		text, _ := json.Marshal(e) // which YAML includes
		rules.WriteString("  - record: panel:" + strings.Repeat("x", i+1) + "\n    expr: " + string(text) + "\n")
	}
	path := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(path, []byte(rules.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	tool(t, "promtool", "check", "rules", path)
	if len(list) < 12 {
		t.Errorf("%d queries", len(list))
	}
}

// TestMetricsExist looks for metrics that the service does not have.
func TestMetricsExist(t *testing.T) {
	source, err := os.ReadFile("../serve/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	used := read(t, "alerts.yml") + read(t, "kubernetes.yaml") + strings.Join(expressions(t), "\n")
	found := regexp.MustCompile(`polyphon_\w+`).FindAllString(used, -1)
	for _, name := range found {
		plain := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if text := string(source); !strings.Contains(text, `"`+plain+`"`) &&
			!strings.Contains(text, `"`+strings.TrimPrefix(plain, "polyphon_")+`"`) {
			t.Errorf("there is no metric %s", name)
		}
	}
	if len(found) < 20 {
		t.Errorf("%d metrics are used", len(found))
	}
}

func TestAvahi(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(read(t, "avahi.service")))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFromScratch runs the program as the image of the Containerfile does: alone in its file system and as nobody.
func TestFromScratch(t *testing.T) {
	need.Long(t, "builds and runs a program")
	root := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(root, "classify"), "../cmd/classify")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for dir := root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	log, write := io.Pipe()
	cmd := exec.Command("/classify", "serve", "--addr", "127.0.0.1:0", "--wyoming", "tcp://127.0.0.1:0", "--log", "json")
	cmd.Env, cmd.Dir, cmd.Stderr, cmd.SysProcAttr = []string{}, "/", write, alone(root)
	if err := cmd.Start(); err != nil {
		need.Host(t, "a file system of its own", err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		write.Close()
	}()
	lines := json.NewDecoder(log)
	address := ""
	for address == "" {
		var line struct{ Msg, URL string }
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line.URL, "http://") {
			address = line.URL
		}
	}
	go io.Copy(io.Discard, log)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, path := range []string{"/healthz", "/metrics", "/"} {
		request, _ := http.NewRequestWithContext(ctx, "GET", address+path, nil)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
	cmd.Process.Signal(os.Interrupt)
	if err := <-ended; err != nil {
		t.Errorf("the program ends with %v", err)
	}
}
