// Package web is the page of classify serve: sound from a microphone, and files, in a browser. Its sources are plain
// files that a browser takes as they are, in folder files.
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

//go:embed files
var embedded embed.FS

// file is one of the page's, ready to be sent.
type file struct {
	contentType, tag string
	content          []byte
}

// Handler serves the page at / and its other files beside it, to GET and HEAD, and answers 404 for all other paths.
// The files contain no secrets: a browser that opens the page sends no token. Headers forbid frames, and scripts,
// styles and connections other than the server's own (Content Security Policy 3).
func Handler() http.Handler {
	files := load()
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

// load returns the files by their paths.
func load() map[string]file {
	types := map[string]string{ // the system's table may say otherwise
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
	}
	files := map[string]file{}
	entries, err := fs.ReadDir(embedded, "files")
	for _, e := range entries {
		var content []byte
		if content, err = embedded.ReadFile("files/" + e.Name()); err != nil {
			break
		}
		sum := sha256.Sum256(content)
		name := "/" + strings.TrimSuffix(e.Name(), "index.html")
		files[name] = file{types[path.Ext(e.Name())], fmt.Sprintf(`"%x"`, sum[:8]), content}
	}
	if err != nil {
		panic(err) // the files are part of the program
	}
	return files
}
