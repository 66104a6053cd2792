package s3

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

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
	var syntax *xml.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		if errors.As(err, &request) { // our own transport's; the address isn't for people
			return tenure.Errorf(coded.Code, "%s: %w", call, coded).Retryable()
		}
		return err
	case errors.Is(err, context.Canceled):
		return tenure.Errorf(tenure.Unavailable, "%s: the call was cut off: %w", call, context.Canceled).Retryable()
	case errors.Is(err, context.DeadlineExceeded):
		return tenure.Errorf(tenure.Unavailable, "%s: the server didn't answer in time: %w", call, context.DeadlineExceeded).Retryable()
	case errors.As(err, &answer):
		return classifyAnswer(call, answer)
	case errors.As(err, &syntax), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return tenure.Errorf(tenure.Unavailable, "%s: the server's answer broke off or can't be read", call).Retryable()
	case errors.As(err, &network) && network.Timeout():
		return tenure.Errorf(tenure.Unavailable, "%s: the server didn't answer in time", call).Retryable()
	case errors.As(err, &request), errors.As(err, &network):
		return tenure.Errorf(tenure.Unavailable, "%s: the server can't be reached: %s", call, unreachable(err)).Retryable()
	}
	// The answer can't be read, and what of it can't isn't repeated.
	return tenure.Errorf(tenure.Unavailable, "%s: the server's answer can't be read", call).Retryable()
}

// unreachable says why a server can't be reached. The library's own words hold the address
// with the object's key, which is a tenant's data.
func unreachable(err error) string {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &name):
		return "its name isn't known"
	case errors.As(err, &certificate):
		return "its certificate isn't trusted here"
	case errors.As(err, &record), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return "it doesn't speak TLS"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it refuses connections"
	}
	return "the connection broke off"
}

func classifyAnswer(call string, a minio.ErrorResponse) error {
	said := a.Code
	if said == "" {
		said = http.StatusText(a.StatusCode)
	}
	switch {
	case is(a, "RequestTimeTooSkewed"):
		return tenure.Errorf(tenure.Unavailable, "%s: this machine's clock and the server's are too far apart (%s)", call, said).Retryable().WithHint("set both by the same source of time")
	case a.StatusCode/100 == 3, is(a, "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"):
		return tenure.Errorf(tenure.Blocked, "%s: the server sends elsewhere, which isn't followed (%s)", call, said).WithHint("set the options endpoint and region to the server and the region in which the bucket is")
	case is(a, "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded"), a.StatusCode == http.StatusTooManyRequests:
		return tenure.Errorf(tenure.Unavailable, "%s: the server is too busy (%s)", call, said).Retryable()
	case a.StatusCode >= http.StatusInternalServerError && a.StatusCode != http.StatusNotImplemented,
		is(a, "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted"):
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
