package s3test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// StandIn is a small S3 server in memory, for what the real one can't do: keys that no
// file system holds, replication and lifecycle rules, answers that are broken in part.
// It isn't S3: it checks no signatures and no rights, and knows what the tests ask of it.
type StandIn struct {
	*httptest.Server

	// Fault is asked of each request first; an answer other than 0 is given in place of
	// the server's own, with the code.
	Fault func(r *http.Request) (status int, code string)

	// Refuse says of an entry of a batch's deletion with which code it doesn't go; ""
	// lets it go. "silent" says nothing of it, and it stays.
	Refuse func(key, version string) string

	// Page is how many entries a listing has; 0 is 1000. Half cuts each page of versions
	// short without saying so.
	Page int
	Half bool

	// Backwards gives all versions in one page, the last key first.
	Backwards bool

	mu      sync.Mutex
	buckets map[string]*standInBucket
	clock   int64
}

type standInBucket struct {
	documents map[string][]byte // by the query that names them: tagging, policy, replication, …
	entries   []standInEntry    // in the order of keys, the newest version first
	uploads   []standInEntry
}

type standInEntry struct {
	key, version string
	marker       bool
	data         []byte
	at           time.Time
}

// NewStandIn starts a stand-in that ends with the test.
func NewStandIn(t testing.TB) *StandIn {
	s := &StandIn{buckets: map[string]*standInBucket{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// Put stores a version of an object.
func (s *StandIn) Put(bucket, key string, data []byte) (version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(s.buckets[bucket], standInEntry{key: key, data: data})
}

// Set stores what a query such as "replication" is answered with.
func (s *StandIn) Set(bucket, query string, document []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[bucket].documents[query] = document
}

// Document is a bucket's document as it stands.
func (s *StandIn) Document(bucket, query string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buckets[bucket].documents[query]
}

// Keys lists what is there, with versions.
func (s *StandIn) Keys(bucket string) (keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.buckets[bucket]; b != nil {
		for _, e := range b.entries {
			keys = append(keys, e.key)
		}
		for _, u := range b.uploads {
			keys = append(keys, "upload "+u.key)
		}
	}
	return keys
}

func (s *StandIn) add(b *standInBucket, e standInEntry) string {
	s.clock++
	e.version, e.at = "null", time.Unix(1800000000+s.clock, 0).UTC()
	if bytes.Contains(b.documents["versioning"], []byte("Enabled")) {
		e.version = fmt.Sprintf("v%09d", s.clock)
	} else {
		b.entries = slices.DeleteFunc(b.entries, func(o standInEntry) bool { return o.key == e.key && o.version == "null" })
	}
	i, _ := slices.BinarySearchFunc(b.entries, e, func(a, b standInEntry) int { return strings.Compare(a.key, b.key) })
	b.entries = slices.Insert(b.entries, i, e)
	return e.version
}

func (s *StandIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Fault != nil {
		if status, code := s.Fault(r); status != 0 {
			refuse(w, status, code)
			return
		}
	}
	body, err := decoded(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "IncompleteBody")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	b := s.buckets[name]
	switch {
	case name == "":
		answer(w, s.list())
	case b == nil && key == "" && r.Method == http.MethodPut && r.URL.RawQuery == "":
		s.buckets[name] = &standInBucket{documents: map[string][]byte{}}
	case b == nil:
		refuse(w, http.StatusNotFound, "NoSuchBucket")
	case key == "":
		s.bucket(w, r, name, b, body)
	default:
		s.object(w, r, b, key, body)
	}
}

func (s *StandIn) list() any {
	type named struct{ Name string }
	var out struct {
		XMLName xml.Name `xml:"ListAllMyBucketsResult"`
		Buckets struct{ Bucket []named }
	}
	for name := range s.buckets {
		out.Buckets.Bucket = append(out.Buckets.Bucket, named{name})
	}
	return out
}

// unset are the codes of documents that aren't there.
var unset = map[string]string{
	"tagging": "NoSuchTagSet", "policy": "NoSuchBucketPolicy", "replication": "ReplicationConfigurationNotFoundError",
	"lifecycle": "NoSuchLifecycleConfiguration", "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration", "object-lock": "ObjectLockConfigurationNotFoundError",
}

func (s *StandIn) bucket(w http.ResponseWriter, r *http.Request, name string, b *standInBucket, body []byte) {
	q := r.URL.Query()
	for query, code := range unset {
		if !q.Has(query) {
			continue
		}
		switch r.Method {
		case http.MethodPut:
			b.documents[query] = body
		case http.MethodDelete:
			delete(b.documents, query)
			w.WriteHeader(http.StatusNoContent)
		default:
			if b.documents[query] == nil {
				refuse(w, http.StatusNotFound, code)
				return
			}
			_, _ = w.Write(b.documents[query])
		}
		return
	}
	switch {
	case q.Has("versioning") && r.Method == http.MethodPut:
		b.documents["versioning"] = body
	case q.Has("versioning"):
		if b.documents["versioning"] == nil {
			_, _ = w.Write([]byte(`<VersioningConfiguration/>`))
			return
		}
		_, _ = w.Write(b.documents["versioning"])
	case q.Has("versions"):
		answer(w, s.versions(b, q))
	case q.Has("list-type"):
		answer(w, s.objects(b, q))
	case q.Has("uploads"):
		answer(w, uploads(b, q))
	case q.Has("delete"):
		answer(w, s.batch(b, body))
	case q.Has("location"):
		_, _ = w.Write([]byte(`<LocationConstraint/>`))
	case r.Method == http.MethodHead:
	case r.Method == http.MethodPut && r.URL.RawQuery == "":
		refuse(w, http.StatusConflict, "BucketAlreadyOwnedByYou")
	case r.Method == http.MethodDelete && r.URL.RawQuery == "":
		if len(b.entries)+len(b.uploads) > 0 {
			refuse(w, http.StatusConflict, "BucketNotEmpty")
			return
		}
		delete(s.buckets, name)
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusNotImplemented, "NotImplemented")
	}
}

type listedVersion struct {
	Key, VersionId string
	IsLatest       bool
	LastModified   string
	Size           int
	ETag           string `xml:",omitempty"`
}

type listedVersions struct {
	XMLName             xml.Name `xml:"ListVersionsResult"`
	IsTruncated         bool
	EncodingType        string
	NextKeyMarker       string          `xml:",omitempty"`
	NextVersionIdMarker string          `xml:",omitempty"`
	Version             []listedVersion `xml:"Version"`
	DeleteMarker        []listedVersion `xml:"DeleteMarker"`
	CommonPrefixes      []struct{ Prefix string }
}

func (s *StandIn) versions(b *standInBucket, q url.Values) listedVersions {
	out := listedVersions{EncodingType: "url"}
	limit := cmp.Or(s.Page, 1000)
	last, n := "", 0
	for i, e := range b.entries {
		latest := i == 0 || b.entries[i-1].key != e.key
		after := q.Get("key-marker")
		if !strings.HasPrefix(e.key, q.Get("prefix")) || e.key < after || e.key == after && (q.Get("version-id-marker") == "" || e.version >= q.Get("version-id-marker")) {
			continue
		}
		if d := q.Get("delimiter"); d != "" {
			if before, _, cut := strings.Cut(e.key[len(q.Get("prefix")):], d); cut {
				if p := q.Get("prefix") + before + d; p != last {
					last = p
					out.CommonPrefixes = append(out.CommonPrefixes, struct{ Prefix string }{url.QueryEscape(p)})
				}
				continue
			}
		}
		if n == limit && !s.Backwards {
			out.IsTruncated = true
			break
		}
		if n++; s.Half && n > 1 && n > len(b.entries)/2 {
			break
		}
		v := listedVersion{Key: url.QueryEscape(e.key), VersionId: e.version, IsLatest: latest, LastModified: e.at.Format(time.RFC3339), Size: len(e.data)}
		out.NextKeyMarker, out.NextVersionIdMarker = v.Key, e.version
		if e.marker {
			out.DeleteMarker = append(out.DeleteMarker, v)
		} else {
			out.Version = append(out.Version, v)
		}
	}
	if s.Backwards {
		slices.Reverse(out.Version)
		slices.Reverse(out.DeleteMarker)
	}
	return out
}

// objects are what is read without an id, in pages.
func (s *StandIn) objects(b *standInBucket, q url.Values) any {
	type object struct {
		Key, LastModified, ETag string
		Size                    int
	}
	var out struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		EncodingType          string
		NextContinuationToken string `xml:",omitempty"`
		Contents              []object
		CommonPrefixes        []struct{ Prefix string }
	}
	out.EncodingType = "url"
	after := cmp.Or(q.Get("continuation-token"), q.Get("start-after"))
	for i, e := range b.entries {
		if e.marker || i > 0 && b.entries[i-1].key == e.key || e.key <= after || !strings.HasPrefix(e.key, q.Get("prefix")) {
			continue
		}
		if n := len(out.CommonPrefixes); q.Get("delimiter") != "" {
			if before, _, cut := strings.Cut(e.key[len(q.Get("prefix")):], q.Get("delimiter")); cut {
				p := url.QueryEscape(q.Get("prefix") + before + q.Get("delimiter"))
				if n > 0 && out.CommonPrefixes[n-1].Prefix == p {
					out.NextContinuationToken = e.key
					continue
				}
				if out.IsTruncated = len(out.Contents)+n == cmp.Or(s.Page, 1000); out.IsTruncated {
					break
				}
				out.CommonPrefixes = append(out.CommonPrefixes, struct{ Prefix string }{p})
				out.NextContinuationToken = e.key
				continue
			}
		}
		if out.IsTruncated = len(out.Contents)+len(out.CommonPrefixes) == cmp.Or(s.Page, 1000); out.IsTruncated {
			break
		}
		out.Contents = append(out.Contents, object{url.QueryEscape(e.key), e.at.Format(time.RFC3339), etag(e.data), len(e.data)})
		out.NextContinuationToken = e.key
	}
	if !out.IsTruncated {
		out.NextContinuationToken = ""
	}
	return out
}

func uploads(b *standInBucket, q url.Values) any {
	type upload struct{ Key, UploadId, Initiated string }
	var out struct {
		XMLName      xml.Name `xml:"ListMultipartUploadsResult"`
		EncodingType string
		Upload       []upload
	}
	out.EncodingType = "url"
	for _, u := range b.uploads {
		if strings.HasPrefix(u.key, q.Get("prefix")) {
			out.Upload = append(out.Upload, upload{url.QueryEscape(u.key), u.version, u.at.Format(time.RFC3339)})
		}
	}
	return out
}

// batch deletes what it is told to, but what Refuse keeps: the answer is 200 all the
// same.
func (s *StandIn) batch(b *standInBucket, body []byte) any {
	var asked struct {
		Object []struct{ Key, VersionId string }
	}
	_ = xml.Unmarshal(body, &asked)
	type deleted struct{ Key, VersionId string }
	type kept struct{ Key, VersionId, Code, Message string }
	var out struct {
		XMLName xml.Name `xml:"DeleteResult"`
		Deleted []deleted
		Error   []kept
	}
	for _, o := range asked.Object {
		code := ""
		if s.Refuse != nil {
			code = s.Refuse(o.Key, o.VersionId)
		}
		switch code {
		case "":
			b.entries = slices.DeleteFunc(b.entries, func(e standInEntry) bool { return e.key == o.Key && e.version == cmp.Or(o.VersionId, "null") })
			out.Deleted = append(out.Deleted, deleted{o.Key, o.VersionId})
		case "silent":
		default:
			out.Error = append(out.Error, kept{o.Key, o.VersionId, code, "it stays"})
		}
	}
	return out
}

func (s *StandIn) object(w http.ResponseWriter, r *http.Request, b *standInBucket, key string, body []byte) {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		s.clock++
		u := standInEntry{key: key, version: fmt.Sprintf("u%d", s.clock), at: time.Unix(1800000000+s.clock, 0).UTC()}
		b.uploads = append(b.uploads, u)
		answer(w, struct {
			XMLName       xml.Name `xml:"InitiateMultipartUploadResult"`
			Key, UploadId string
		}{Key: key, UploadId: u.version})
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		b.uploads = slices.DeleteFunc(b.uploads, func(u standInEntry) bool { return u.key == key && u.version == q.Get("uploadId") })
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodDelete:
		if q.Get("versionId") == "" && bytes.Contains(b.documents["versioning"], []byte("Enabled")) {
			s.add(b, standInEntry{key: key, marker: true})
		} else {
			b.entries = slices.DeleteFunc(b.entries, func(e standInEntry) bool { return e.key == key && e.version == cmp.Or(q.Get("versionId"), "null") })
		}
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPut:
		if r.Header.Get("If-None-Match") == "*" && slices.ContainsFunc(b.entries, func(e standInEntry) bool { return e.key == key }) {
			refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
		w.Header().Set("X-Amz-Version-Id", s.add(b, standInEntry{key: key, data: body}))
		w.Header().Set("ETag", etag(body))
	default:
		i := slices.IndexFunc(b.entries, func(e standInEntry) bool {
			return e.key == key && (q.Get("versionId") == "" || e.version == q.Get("versionId"))
		})
		if i < 0 || b.entries[i].marker {
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		if q.Has("retention") || q.Has("legal-hold") {
			refuse(w, http.StatusNotFound, "NoSuchObjectLockConfiguration")
			return
		}
		e := b.entries[i]
		w.Header().Set("ETag", etag(e.data))
		w.Header().Set("X-Amz-Version-Id", e.version)
		w.Header().Set("Last-Modified", e.at.Format(http.TimeFormat))
		w.Header().Set("Content-Length", strconv.Itoa(len(e.data)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(e.data)
		}
	}
}

func etag(data []byte) string {
	sum := md5.Sum(data)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func answer(w http.ResponseWriter, v any) {
	raw, err := xml.Marshal(v)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write(raw)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
}

// decoded is a request's body without its aws-chunked encoding.
func decoded(r *http.Request) ([]byte, error) {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return io.ReadAll(r.Body)
	}
	var out []byte
	in := bufio.NewReader(r.Body)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil || n == 0 {
			return out, err
		}
		part := make([]byte, n+2) // and the line's end
		if _, err := io.ReadFull(in, part); err != nil {
			return nil, err
		}
		out = append(out, part[:n]...)
	}
}
