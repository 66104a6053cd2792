package s3

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/objects"
)

// maxPut is how large an object is at the most that one request writes. Results aren't
// written in parts: the condition under which one is written holds for the whole then,
// and a kill leaves no unfinished upload.
const maxPut = 5 << 30

// metaPrefix begins the headers of the user's own metadata. It is written out, so that a
// tenant's name for one can't be taken for another header, such as an access list.
const metaPrefix = "x-amz-meta-"

// headers are those that stay with a pseudonymised object, by name in requests and
// answers alike.
var headers = []string{"Content-Disposition", "Content-Language", "Cache-Control", "X-Amz-Storage-Class", "X-Amz-Website-Redirect-Location"}

// options are those with which a result is written.
func options(t objects.Transform, d tenure.Disposition, info minio.ObjectInfo) minio.PutObjectOptions {
	o := minio.PutObjectOptions{ContentType: info.ContentType, ContentEncoding: encoding(info.Metadata.Get("Content-Encoding")), DisableMultipart: true, UserMetadata: map[string]string{}}
	for name, value := range t.ResultMetadata(d, userMetadata(info.Metadata)) {
		o.UserMetadata[metaPrefix+name] = value
	}
	if d != tenure.Pseudonymise {
		return o
	}
	h := info.Metadata
	o.ContentDisposition, o.ContentLanguage, o.CacheControl = h.Get(headers[0]), h.Get(headers[1]), h.Get(headers[2])
	o.StorageClass, o.WebsiteRedirectLocation = h.Get(headers[3]), h.Get(headers[4])
	if at, err := time.Parse(http.TimeFormat, h.Get("Expires")); err == nil {
		o.Expires = at
	}
	switch algorithm, key := h.Get("X-Amz-Server-Side-Encryption"), h.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"); {
	case algorithm == "aws:kms" && key != "":
		o.ServerSideEncryption, _ = encrypt.NewSSEKMS(key, nil) // no context, and so no error
	case algorithm == "AES256":
		o.ServerSideEncryption = encrypt.NewSSE()
	}
	return o
}

// encoding leaves out how an object was sent (aws-chunked), which some servers keep with it.
func encoding(given string) string {
	all := strings.FieldsFunc(given, func(r rune) bool { return r == ',' || r == ' ' })
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "aws-chunked" }), ", ")
}

// tags are those of an object that has some.
func (w *rewriting) tags(ctx context.Context, e entry, info minio.ObjectInfo) (map[string]string, error) {
	if n := info.Metadata.Get("X-Amz-Tagging-Count"); n == "" || n == "0" {
		return nil, nil
	}
	t, err := w.client().GetObjectTagging(ctx, w.site.bucket, e.key, minio.GetObjectTaggingOptions{VersionID: info.VersionID})
	if err != nil {
		return nil, err
	}
	return t.ToMap(), nil
}

// beside is what stays with an object's records, also as it reads once it is decoded.
func (w *rewriting) beside(ctx context.Context, t objects.Transform, e entry, info minio.ObjectInfo) ([]string, error) {
	out := []string{info.ContentType}
	for _, v := range t.ResultMetadata(w.batch.Disposition, userMetadata(info.Metadata)) {
		out = append(out, v)
	}
	if w.batch.Disposition == tenure.Pseudonymise {
		tags, err := w.tags(ctx, e, info)
		if err != nil {
			return nil, err
		}
		for name, value := range tags {
			out = append(out, name, value)
		}
		for _, name := range headers {
			out = append(out, info.Metadata.Get(name))
		}
		out = append(out, strings.TrimPrefix(e.key, w.site.below))
	}
	for _, text := range out {
		if plain, err := url.PathUnescape(text); err == nil && plain != text {
			out = append(out, plain)
		}
		if plain, err := new(mime.WordDecoder).DecodeHeader(text); err == nil && plain != text { // RFC 2047
			out = append(out, plain)
		}
	}
	return out, nil
}

// userMetadata are the user's own, by names in lower case, without Tenure's.
func userMetadata(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		if rest, ok := strings.CutPrefix(strings.ToLower(name), metaPrefix); ok && rest != sealName {
			out[rest] = strings.Join(values, ",")
		}
	}
	return out
}

// unread is Blocked for an object that the server has and doesn't give.
func unread(err error) error {
	var answer minio.ErrorResponse
	switch {
	case is(err, "InvalidObjectState"):
		return tenure.Errorf(tenure.Blocked, "it is archived, and can't be read").WithHint("restore it")
	case errors.As(err, &answer) && answer.StatusCode == http.StatusBadRequest:
		return tenure.Errorf(tenure.Blocked, "the server doesn't give it (%s): it may be encrypted with a key that Tenure doesn't have", answer.Code).WithHint("decrypt it, or put it under a prefix of another class")
	}
	return err
}
