// Package web has the pages of polyphon, whose sources are plain files that a browser takes as they are: that of
// classify serve, sound from a microphone, and files, in folder files; that of train review, which takes some files of
// the former, in folder review.
package web

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
)

//go:embed files review
var embedded embed.FS

// file is one of the page's, ready to be sent.
type file struct {
	contentType, tag string
	content          []byte
}

// Handler serves the page of classify serve at / and its other files beside it, to GET and HEAD, and answers 404 for
// all other paths. The files contain no secrets: a browser that opens the page sends no token. Headers forbid frames,
// and scripts, styles and connections other than the server's own (Content Security Policy 3).
func Handler() http.Handler { return handler(load("files/*")) }

// ReviewHandler is Handler of the page of train review.
func ReviewHandler() http.Handler {
	shared := []string{"style.css", "page.js", "draw.js", "sound.js", "icon.svg"}
	for i, name := range shared {
		shared[i] = "files/" + name
	}
	return handler(load(append(shared, "review/*")...))
}

func handler(files map[string]file) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, found := files[r.URL.Path]
		if !found {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		setHeaders(w.Header(), r.Host)
		w.Header().Set("Content-Type", f.contentType)
		w.Header().Set("Etag", f.tag)
		w.Header().Set("Cache-Control", "no-cache") // kept, and asked for again: another version may serve it next time
		if r.Header.Get("If-None-Match") == f.tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(f.content)))
		if r.Method == http.MethodGet {
			w.Write(f.content) // an error is the client's, who is gone
		}
	})
}

var host = regexp.MustCompile(`^[A-Za-z0-9.\-]+(:[0-9]+)?$|^\[[0-9A-Fa-f:.]+\](:[0-9]+)?$`)

func setHeaders(h http.Header, name string) {
	connect := "'self'"
	if host.MatchString(name) { // some browsers do not take 'self' for a WebSocket of the same host
		connect += " ws://" + name + " wss://" + name
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"media-src blob:; connect-src "+connect+"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Permissions-Policy", "microphone=(self), camera=(), geolocation=()")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// load returns the embedded files of some patterns by their paths.
func load(patterns ...string) map[string]file {
	types := map[string]string{ // the system's table may say otherwise
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
	}
	files := map[string]file{}
	for _, pattern := range patterns {
		names, err := fs.Glob(embedded, pattern)
		for _, name := range names {
			var content []byte
			if content, err = embedded.ReadFile(name); err != nil {
				break
			}
			sum := sha256.Sum256(content)
			url := "/" + strings.TrimSuffix(path.Base(name), "index.html")
			files[url] = file{types[path.Ext(name)], fmt.Sprintf(`"%x"`, sum[:8]), content}
		}
		if err != nil || len(names) == 0 {
			panic(fmt.Sprint("the files are part of the program: ", pattern, err))
		}
	}
	return files
}
