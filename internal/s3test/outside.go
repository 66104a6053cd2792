package s3test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// Users speaks to the administration API, and gives its answer.
func (s *Server) Users(t testing.TB, call string, query url.Values, v any) []byte {
	t.Helper()
	var body []byte
	if v != nil {
		var err error
		if body, err = xml.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	raw, status := s.Request(t, http.MethodPatch, "/"+call, query.Encode(), nil, body)
	if status/100 != 2 {
		t.Fatalf("%s: %d %s", call, status, raw)
	}
	return raw
}

// MakeUser makes a user.
func (s *Server) MakeUser(t testing.TB, access, secret string) {
	t.Helper()
	s.Users(t, "create-user", nil, struct {
		XMLName              xml.Name `xml:"Account"`
		Access, Secret, Role string
	}{Access: access, Secret: secret, Role: "user"})
}

// Request makes a signed request as the root user, and gives its answer.
func (s *Server) Request(t testing.TB, method, path, query string, header http.Header, body []byte) (answer []byte, status int) {
	t.Helper()
	u := url.URL{Scheme: "http", Host: s.Address, Path: path, RawQuery: query}
	req, err := http.NewRequest(method, u.String(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	sum := sha256.Sum256(body)
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	got, err := http.DefaultClient.Do(signer.SignV4(*req, s.Access, s.Secret, "", s.Region))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if answer, err = io.ReadAll(got.Body); err != nil {
		t.Fatal(err)
	}
	return answer, got.StatusCode
}

// Look writes down every file that the server keeps, with a sum of what is in it. What
// it locks with, and its own backup of its users, isn't content.
func (s *Server) Look(t testing.TB) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(s.Folder, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && e.Name() == ".vgwlocks" {
			return fs.SkipDir
		}
		if err != nil || e.IsDir() || e.Name() == "log" || strings.HasSuffix(e.Name(), ".backup") {
			return err
		}
		if s.orphaned(p) {
			return nil
		}
		raw, err := os.ReadFile(p)
		fmt.Fprintf(&out, "%q %x\n", strings.TrimPrefix(p, s.Folder), sha256.Sum256(raw))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// orphaned says whether a file is metadata of an object that isn't there any more: the
// server leaves it when it deletes a version.
func (s *Server) orphaned(p string) bool {
	of, ok := strings.CutPrefix(p, filepath.Join(s.Folder, "meta")+string(filepath.Separator))
	if !ok {
		return false
	}
	of = filepath.Dir(filepath.Dir(of)) // OBJECT/meta/FIELD
	for _, dir := range []string{"objects", "versions", ""} {
		if _, err := os.Lstat(filepath.Join(s.Folder, dir, of)); err == nil {
			return false
		}
	}
	return true
}

// Held counts what a bucket holds under a prefix: versions, delete markers and
// unfinished uploads.
func Held(t testing.TB, c *minio.Client, bucket, prefix string) (n int) {
	t.Helper()
	seen := map[[2]string]bool{} // the server gives some twice
	for o := range c.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Prefix: prefix, WithVersions: true, Recursive: true}) {
		if minio.ToErrorResponse(o.Err).Code == "NoSuchBucket" {
			return 0
		}
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		seen[[2]string{o.Key, o.VersionID}] = true
	}
	core := minio.Core{Client: c}
	r, err := core.ListMultipartUploads(t.Context(), bucket, prefix, "", "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	if r.IsTruncated {
		t.Fatal("more than 1000 uploads")
	}
	return len(seen) + len(r.Uploads)
}
