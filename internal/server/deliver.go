package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// packFrom is from how many bytes on an answer is worth packing.
const packFrom = 1 << 10

// deliver sends a whole answer: with a tag, or as 304 to who has it already
// (RFC 9110 §13.1.2), and in gzip to who takes that. One that may hold a secret has no
// tag, and isn't packed: its length would tell of it.
func deliver(w http.ResponseWriter, r *http.Request, status int, body []byte, secret bool) error {
	h := w.Header()
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	if read && status == http.StatusOK && !secret {
		if h.Get("ETag") == "" {
			h.Set("ETag", tagOf(body))
		}
		if names(r.Header.Values("If-None-Match"), h.Get("ETag")) {
			h.Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	if !secret && len(body) >= packFrom {
		h.Add("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Values("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			body = pack(body)
		}
	}
	if status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead || len(body) == 0 {
		return nil
	}
	_, err := w.Write(body)
	return err
}

// tagOf is a weak tag of an answer without a version: packed or not it is the same.
func tagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `W/"` + hex.EncodeToString(sum[:16]) + `"`
}

// names says whether a list of tags has one, compared weakly (RFC 9110 §8.8.3.2).
func names(lists []string, tag string) bool {
	for given := range strings.SplitSeq(strings.Join(lists, ","), ",") {
		if given = strings.TrimSpace(given); given == "*" || strings.TrimPrefix(given, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// takesGzip reads an Accept-Encoding (RFC 9110 §12.5.3): what it says of gzip, or else
// of everything that it doesn't name.
func takesGzip(lists []string) bool {
	others := false
	for part := range strings.SplitSeq(strings.Join(lists, ","), ",") {
		coding, params, _ := strings.Cut(part, ";")
		name, q, _ := strings.Cut(strings.TrimSpace(params), "=")
		weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		takes := !strings.EqualFold(strings.TrimSpace(name), "q") || err == nil && weight > 0
		switch coding = strings.TrimSpace(coding); {
		case strings.EqualFold(coding, "gzip"):
			return takes
		case coding == "*":
			others = takes
		}
	}
	return others
}

var packers = sync.Pool{New: func() any { z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return z }}

func pack(body []byte) []byte {
	var out bytes.Buffer
	z := packers.Get().(*gzip.Writer)
	defer packers.Put(z)
	z.Reset(&out)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	return out.Bytes()
}
