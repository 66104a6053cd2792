package s3

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
)

// How long a request waits where its server has asked to be left alone (Retry-After,
// RFC 9110 §10.2.3), and how long at the most the server is believed.
const (
	patience   = 5 * time.Second
	believed   = 10 * time.Minute
	rootWithin = 4 << 10 // of an answer
)

// careful sends requests, and looks at what comes back before the library does. It keeps
// to Retry-After for all requests to a host, and takes no other document for a list: a
// page in place of one would be an empty bucket.
type careful struct {
	http.RoundTripper

	mu    sync.Mutex
	until map[string]time.Time // by host
}

// RoundTrip is described at http.RoundTripper.
func (c *careful) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := c.await(r); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	answer, err := c.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if s := answer.StatusCode; s == http.StatusServiceUnavailable || s == http.StatusTooManyRequests {
		c.told(r.URL.Host, answer.Header.Get("Retry-After"))
	}
	if err := checkList(r, answer); err != nil {
		_ = answer.Body.Close()
		return nil, err
	}
	return answer, nil
}

// await waits while the host wants to be left alone; if that is long it is an error.
func (c *careful) await(r *http.Request) error {
	c.mu.Lock()
	left := time.Until(c.until[r.URL.Host])
	c.mu.Unlock()
	if left <= 0 {
		return nil
	}
	if end, ok := r.Context().Deadline(); left > patience || ok && time.Until(end) < left {
		return tenure.Errorf(tenure.Unavailable, "the server is busy and asks to be left alone for another %s", left.Round(time.Second)).Retryable()
	}
	select {
	case <-time.After(left):
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

// told notes what a host has asked for: seconds, or a date.
func (c *careful) told(host, after string) {
	var wait time.Duration
	if n, err := strconv.Atoi(strings.TrimSpace(after)); err == nil {
		wait = time.Duration(min(max(n, 0), int(believed/time.Second))) * time.Second
	} else if at, err := http.ParseTime(after); err == nil {
		wait = time.Until(at)
	}
	if wait <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until == nil {
		c.until = map[string]time.Time{}
	}
	c.until[host] = time.Now().Add(min(wait, believed))
}

// lists are the documents that answer requests for lists, by the query that asks.
var lists = []struct{ query, root string }{
	{"versions", "ListVersionsResult"}, {"uploads", "ListMultipartUploadsResult"}, {"list-type", "ListBucketResult"},
}

// checkList is an error if what was asked for is a list, and the answer is another
// document. A server that lists objects where versions were asked for knows no versions.
func checkList(r *http.Request, answer *http.Response) error {
	if r.Method != http.MethodGet || answer.StatusCode != http.StatusOK {
		return nil
	}
	q := r.URL.Query()
	for _, l := range lists {
		if !q.Has(l.query) {
			continue
		}
		// The start of the document is read, and given back before the rest.
		in := bufio.NewReaderSize(answer.Body, rootWithin)
		root, err := rootOf(in)
		answer.Body = struct {
			io.Reader
			io.Closer
		}{in, answer.Body}
		switch {
		case err != nil:
			return err
		case root == l.root, l.root == "ListVersionsResult" && root == "ListObjectVersionsOutput":
			return nil
		case l.query == "versions" && root == "ListBucketResult":
			refuse(answer)
			return nil
		}
		return tenure.Errorf(tenure.Unavailable, "what answers isn't a list of the bucket's content").Retryable().
			WithHint("see whether the option endpoint names the S3 server, or a page or a proxy before it")
	}
	return nil
}

// refuse turns an answer into that of a server which can't do what was asked.
func refuse(answer *http.Response) {
	_ = answer.Body.Close()
	const text = "<Error><Code>NotImplemented</Code></Error>"
	answer.StatusCode, answer.Status = http.StatusNotImplemented, "501 Not Implemented"
	answer.Body, answer.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
}

// rootOf is the name of a document's first element; blank if there is none where one
// should be.
func rootOf(in *bufio.Reader) (string, error) {
	for n := 64; ; n = min(2*n, rootWithin) {
		start, err := in.Peek(n)
		dec := xml.NewDecoder(bytes.NewReader(start))
		dec.Strict = false
		for {
			token, broken := dec.RawToken()
			if broken != nil {
				break
			}
			if e, ok := token.(xml.StartElement); ok {
				return e.Name.Local, nil
			}
		}
		switch {
		case err == io.EOF, err == nil && n == rootWithin:
			return "", nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		}
	}
}
