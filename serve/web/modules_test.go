package web_test

import (
	"net/http/httptest"
	"testing"

	"github.com/polyphon/polyphon/serve/web"
)

// TestModules calls functions of the page's modules, in a browser.
func TestModules(t *testing.T) {
	s := httptest.NewServer(web.Handler())
	defer s.Close()
	b := browse(t, s.URL, "")
	for _, c := range []struct{ name, script, want string }{
		{"a label track", `audacity([{start: 0.5, end: 1.25, label: 'left'}, {start: 61, end: 61.0000004, label: 'a b'}])`,
			"0.500000\t1.250000\tleft\n61.000000\t61.000000\ta b\n"},
		{"a label with a tab and a line end", `audacity([{start: 0, end: 1, label: 'a\tb\nc'}])`,
			"0.000000\t1.000000\ta\ufffd09b\ufffd0Ac\n"},
		{"a label that turns text around", `audacity([{start: 0, end: 1, label: 'a\u202eb'}])`,
			"0.000000\t1.000000\ta\ufffdE2\ufffd80\ufffdAEb\n"},
		{"a label with U+FFFD", `audacity([{start: 0, end: 1, label: '\ufffd'}])`,
			"0.000000\t1.000000\t\ufffdEF\ufffdBF\ufffdBD\n"},
		{"no events", `csv([])`, "kind,time,start,end,clock,label,p\n"},
		{"an event", `csv([{time: 4.405, start: 3.52, end: 4.0100004, clock: '2026-01-02T15:04:05.678Z',
				label: 'stop', p: 0.97043249}])`,
			"kind,time,start,end,clock,label,p\ndetection,4.405,3.52,4.01,2026-01-02T15:04:05.678Z,stop,0.970432\n"},
		{"labels that need quotes, and formulas", `csv([{time: 1, start: 0, end: 1, label: 'a,"b"', p: 1},
				{time: 2, start: 1, end: 2, label: '=1+1', p: 1}, {time: 3, start: 2, end: 3, label: '-', p: 1}])`,
			"kind,time,start,end,clock,label,p\ndetection,1,0,1,,\"a,\"\"b\"\"\",1\n" +
				"detection,2,1,2,,\ufffd3D1+1,1\ndetection,3,2,3,,-,1\n"},
		{"files", `filesCSV([{name: 'a.wav', events: [{start: 1, end: 2, label: 'left', p: 0.5}],
				result: {seconds: 3, events: 1, labels: [{label: 'left', p: 0.5}, {label: 'go', p: 0.25}],
				warning: ['cut', 'quiet']}},
				{name: '@b.wav', events: [], error: 'damaged, "all" of it'}])`,
			"kind,file,start,end,events,message,label1,p1,label2,p2,label3,p3\n" +
				"detection,a.wav,1,2,,,left,0.5,,,,\nresult,a.wav,0,3,1,cut; quiet,left,0.5,go,0.25,,\n" +
				"error,\ufffd40b.wav,,,,\"damaged, \"\"all\"\" of it\",,,,,,\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := value[string](b, "import('/export.js').then(m => m."+c.script+")"); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}

	for _, c := range []struct {
		name, script string
		want         float64
	}{
		{"the end of what was added", "add(0, 1500); return ring.end", 1.5},
		{"the start, while there is room", "add(0, 4000); return ring.start", 0},
		{"the start, later", "add(0, 5500); return ring.start", 1.5},
		{"a part that is gone", "add(0.5, 5500); return ring.slice(0, 2).length", 500},
		{"a part that has not come", "add(0.5, 1500); return ring.slice(1, 9).length", 500},
		{"values, clipped", "add(2, 10); return ring.slice(0, 1)[0]", 32767},
		{"a level", "add(0.5, 100); return ring.level(3)", 0.5},
		{"a level that is gone", "add(0.5, 5500); return ring.level(3)", 0},
		{"the end of a word", "add(0.001, 1000); add(0.5, 400); add(0.001, 600); return ring.wordEnd(1, 2)", 1.4},
		{"the end of a word with a stop in it", "add(0.001, 1000); add(0.5, 200); add(0.001, 100); add(0.3, 100); " +
			"add(0.001, 600); return ring.wordEnd(1, 2)", 1.4},
		{"the end of a word that goes on", "add(0.001, 1000); add(0.5, 400); return ring.wordEnd(1, 2) ?? -1", -1},
		{"the end of a word in noise", "add(0.1, 1000); add(0.5, 400); add(0.1, 600); return ring.wordEnd(1, 2)", 1.4},
		{"the size of a WAV file", "add(0.5, 1000); return wav(ring.slice(0, 1), 1000).size", 2044},
	} {
		t.Run(c.name, func(t *testing.T) {
			script := `import('/sound.js').then(({ Ring, wav }) => {
				const ring = new Ring(1000, 4);
				const add = (level, n) => ring.push(Float32Array.from({ length: n }, (_, i) => level * (-1) ** i));
				` + c.script + `
			})`
			if got := value[float64](b, script); got-c.want > 1e-6 || c.want-got > 1e-6 {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
