package s3

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
)

// code is the server's word for an error, "" if it isn't the server's.
func code(err error) string {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		return answer.Code
	}
	return ""
}

// is says whether the server gave one of the codes.
func is(err error, codes ...string) bool {
	got := code(err)
	for _, c := range codes {
		if got != "" && got == c {
			return true
		}
	}
	return false
}

// denied says whether the credential lacks a right.
func denied(err error) bool {
	return is(err, "AccessDenied", "AllAccessDisabled") || tenure.CodeOf(err) == tenure.Forbidden && err != nil
}

// missing says whether there is no such thing.
func missing(err error) bool {
	return is(err, "NoSuchBucket", "NoSuchKey", "NoSuchVersion", "NoSuchUpload", "NotFound")
}

// unable says whether the server doesn't do such a thing at all.
func unable(err error) bool { return is(err, "NotImplemented", "MethodNotAllowed") }

// classify gives an error its code. What a server says in words isn't repeated, as it
// may repeat what it was sent: its code is.
func classify(call string, err error) error {
	var coded *tenure.Error
	var answer minio.ErrorResponse
	var network net.Error
	var request *url.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return tenure.Errorf(tenure.Unavailable, "%s: %w", call, err).Retryable()
	case errors.As(err, &answer):
		return classifyAnswer(call, answer)
	case errors.As(err, &request):
		return tenure.Errorf(tenure.Unavailable, "%s: %w", call, request.Err).Retryable()
	case errors.As(err, &network):
		return tenure.Errorf(tenure.Unavailable, "%s: %w", call, err).Retryable()
	}
	// The answer broke off, or can't be read.
	return tenure.Errorf(tenure.Unavailable, "%s: %w", call, err).Retryable()
}

func classifyAnswer(call string, a minio.ErrorResponse) error {
	said := a.Code
	if said == "" {
		said = http.StatusText(a.StatusCode)
	}
	switch {
	case a.StatusCode >= http.StatusInternalServerError && a.StatusCode != http.StatusNotImplemented, a.StatusCode == http.StatusTooManyRequests,
		is(a, "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "RequestTimeTooSkewed", "OperationAborted", "Throttling", "TooManyRequests"):
		return tenure.Errorf(tenure.Unavailable, "%s: the server says %s", call, said).Retryable()
	case is(a, "InvalidAccessKeyId", "SignatureDoesNotMatch", "XAdminAccessDenied"), a.StatusCode == http.StatusUnauthorized, a.StatusCode == http.StatusForbidden, denied(a):
		return tenure.Errorf(tenure.Forbidden, "%s: the server says %s", call, said).WithHint("check the options accessKey and secretKey, and the rights of that key")
	case unable(a):
		return tenure.Errorf(tenure.Invalid, "%s: the server can't do that (%s)", call, said)
	case missing(a), a.StatusCode == http.StatusConflict, a.StatusCode == http.StatusPreconditionFailed:
		// It was there, or wasn't, a moment ago: somebody else is at work.
		return tenure.Errorf(tenure.Unavailable, "%s: the server says %s", call, said).Retryable()
	}
	return tenure.Errorf(tenure.Internal, "%s: the server says %s", call, said)
}
