package s3

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/objects"
)

// A result is kept, encrypted and named as its object was, and no name of a tenant's
// metadata becomes a header that says something to the server.
func TestOptions(t *testing.T) {
	t.Parallel()
	given := http.Header{}
	for name, value := range map[string]string{
		"Content-Encoding": "aws-chunked,gzip", "Content-Disposition": "attachment", "Content-Language": "de", "Cache-Control": "no-store", "Expires": "Thu, 01 Dec 2033 16:00:00 GMT",
		"X-Amz-Storage-Class": "STANDARD_IA", "X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "key-1",
		"X-Amz-Meta-Batch": "7", "X-Amz-Meta-X-Amz-Acl": "public-read", "X-Amz-Meta-Content-Type": "text/html", "X-Amz-Meta-" + sealName: "x", "Etag": "\"1\"", "X-Amz-Version-Id": "3",
	} {
		given.Set(name, value)
	}
	info := minio.ObjectInfo{ContentType: "text/csv", Metadata: given}
	is := func(d tenure.Disposition) map[string]string {
		out := map[string]string{}
		for name, values := range options(objects.Transform{}, d, info).Header() {
			out[http.CanonicalHeaderKey(name)] = strings.Join(values, ",")
		}
		return out
	}
	want := map[string]string{
		"Content-Type": "text/csv", "Content-Encoding": "gzip", "Content-Disposition": "attachment", "Content-Language": "de", "Cache-Control": "no-store", "Expires": "Thu, 01 Dec 2033 16:00:00 GMT",
		"X-Amz-Storage-Class": "STANDARD_IA", "X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "key-1",
		"X-Amz-Meta-Batch": "7", "X-Amz-Meta-X-Amz-Acl": "public-read", "X-Amz-Meta-Content-Type": "text/html",
	}
	if diff := cmp.Diff(want, is(tenure.Pseudonymise)); diff != "" {
		t.Errorf("pseudonymised (-want +got):\n%s", diff)
	}
	want = map[string]string{"Content-Type": "text/csv", "Content-Encoding": "gzip"}
	if diff := cmp.Diff(want, is(tenure.Anonymise)); diff != "" {
		t.Errorf("anonymised (-want +got):\n%s", diff)
	}
}

// What the server has and doesn't give blocks, and isn't tried for ever.
func TestUnread(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]struct {
		status int
		code   tenure.Code
	}{"InvalidObjectState": {403, tenure.Blocked}, "InvalidRequest": {400, tenure.Blocked}, "SlowDown": {503, tenure.Unavailable}, "AccessDenied": {403, tenure.Forbidden}} {
		if err := classify("change", unread(minio.ErrorResponse{Code: code, StatusCode: want.status})); tenure.CodeOf(err) != want.code {
			t.Errorf("%s is %v", code, err)
		}
	}
}
