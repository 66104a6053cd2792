package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// maxAnswer is how much of an answer is read into memory.
const maxAnswer = 64 << 20

// request makes a signed request that the library has no call for. Who gets no error
// closes the body.
func (d *Driver) request(ctx context.Context, at *url.URL, method, path, query string, header http.Header, body []byte) (*http.Response, error) {
	u := *at
	u.Path, u.RawPath, u.RawQuery = path, s3utils.EncodePath(path), query
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	sum := sha256.Sum256(body)
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	answer, err := d.plainly().Do(signer.SignV4(*req, d.access, d.secret, "", d.region))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	raw, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	_ = answer.Body.Close()
	said := minio.ErrorResponse{}
	_ = xml.Unmarshal(raw, &said)
	if said.StatusCode = answer.StatusCode; said.Code == "" && answer.StatusCode == http.StatusNotFound {
		said.Code = "NoSuchKey"
	}
	return nil, said
}

// plainly follows no redirect: what was signed is for one server alone.
func (d *Driver) plainly() *http.Client {
	return &http.Client{Transport: d.careful, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// plain is request, with the answer read.
func (d *Driver) plain(ctx context.Context, at *url.URL, method, path, query string, header http.Header, body []byte) ([]byte, error) {
	answer, err := d.request(ctx, at, method, path, query, header, body)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
}

// blank says whether a key is of nothing but white space: the library takes such a one
// for none.
func blank(key string) bool { return strings.TrimSpace(key) == "" }

func versionQuery(e entry) string {
	if e.id == "" {
		return ""
	}
	return url.Values{"versionId": {e.id}}.Encode()
}

// content opens a version.
func (d *Driver) content(ctx context.Context, bucket string, e entry) (io.ReadCloser, minio.ObjectInfo, error) {
	if !blank(e.key) {
		core := minio.Core{Client: d.client()}
		body, info, _, err := core.GetObject(ctx, bucket, e.key, minio.GetObjectOptions{VersionID: e.id})
		return body, info, err
	}
	answer, err := d.request(ctx, d.endpoint, http.MethodGet, "/"+bucket+"/"+e.key, versionQuery(e), nil, nil)
	if err != nil {
		return nil, minio.ObjectInfo{}, err
	}
	return answer.Body, infoOf(answer), nil
}

func infoOf(answer *http.Response) minio.ObjectInfo {
	return minio.ObjectInfo{Size: answer.ContentLength, ContentType: answer.Header.Get("Content-Type"), Metadata: answer.Header, ETag: answer.Header.Get("ETag"), VersionID: answer.Header.Get("X-Amz-Version-Id")}
}

// abort gives an unfinished upload up.
func (d *Driver) abort(ctx context.Context, bucket string, e entry) error {
	if !blank(e.key) {
		core := minio.Core{Client: d.client()}
		return core.AbortMultipartUpload(ctx, bucket, e.key, e.id)
	}
	answer, err := d.request(ctx, d.endpoint, http.MethodDelete, "/"+bucket+"/"+e.key, url.Values{"uploadId": {e.id}}.Encode(), nil, nil)
	if err == nil {
		_ = answer.Body.Close()
	}
	return err
}
