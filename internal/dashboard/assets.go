package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

//go:embed assets/*
var assetFiles embed.FS

// AssetPrefix is where Assets is to be mounted.
const AssetPrefix = "/assets/"

// assetNames maps "app.css" to "/assets/app.<hash>.css". A name holds a digest of
// its content, so that an answer may be cached for ever.
func assetNames() (map[string]string, error) {
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "list the assets: %w", err)
	}
	names := make(map[string]string, len(entries))
	for _, e := range entries {
		body, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			return nil, tenure.Errorf(tenure.Internal, "read %s: %w", e.Name(), err)
		}
		sum := sha256.Sum256(body)
		ext := path.Ext(e.Name())
		names[e.Name()] = AssetPrefix + strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
	}
	return names, nil
}

// Assets serves the embedded files under AssetPrefix by their hashed names, to
// GET and HEAD, cacheable for a year. Another name is 404.
func Assets() http.Handler {
	byPath := make(map[string]string)
	names, err := assetNames()
	for file, p := range names {
		byPath[p] = file
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, ok := byPath[r.URL.Path]
		if err != nil || !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		body, err := assetFiles.ReadFile("assets/" + file)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", contentType(file))
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, file, time.Time{}, bytes.NewReader(body))
	})
}

// contentType doesn't ask the machine's tables first, which differ.
func contentType(file string) string {
	switch path.Ext(file) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(path.Ext(file))
}
