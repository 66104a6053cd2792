package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
)

// code is the server's result code (RFC 4511 §4.1.9) of an error, 0 if it isn't the
// server's.
func code(err error) uint16 {
	var answer *ldap.Error
	if errors.As(err, &answer) && answer.ResultCode < ldap.ErrorNetwork {
		return answer.ResultCode
	}
	return 0
}

// is says whether the server gave one of the codes.
func is(err error, codes ...uint16) bool { return ldap.IsErrorAnyOf(err, codes...) }

// missing says whether there is no such entry, as far as the account may see.
func missing(err error) bool { return is(err, ldap.LDAPResultNoSuchObject) }

// unseen says whether an answer is cut short: by a limit, a right that is missing, or a
// part of the tree that another server has. It proves no absence.
func unseen(err error) bool {
	return is(err, ldap.LDAPResultSizeLimitExceeded, ldap.LDAPResultTimeLimitExceeded, ldap.LDAPResultAdminLimitExceeded, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultReferral)
}

// classify gives an error its code. What a server says in words isn't repeated, as it may
// repeat what it was sent: its code is.
func classify(call string, err error) error {
	var coded *tenure.Error
	var answer *ldap.Error
	var network net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		return err
	case errors.Is(err, context.Canceled):
		return tenure.Errorf(tenure.Unavailable, "%s: the call was cut off: %w", call, context.Canceled).Retryable()
	case errors.Is(err, context.DeadlineExceeded):
		return tenure.Errorf(tenure.Unavailable, "%s: the server didn't answer in time: %w", call, context.DeadlineExceeded).Retryable()
	case errors.As(err, &answer) && answer.ResultCode < ldap.ErrorNetwork:
		return classifyAnswer(call, answer.ResultCode)
	case errors.As(err, &network) && network.Timeout():
		return tenure.Errorf(tenure.Unavailable, "%s: the server didn't answer in time", call).Retryable()
	}
	return tenure.Errorf(tenure.Unavailable, "%s: the server can't be reached: %s", call, unreachable(err)).Retryable()
}

// unreachable says why a server can't be reached.
func unreachable(err error) string {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &name):
		return "its name isn't known"
	case errors.As(err, &certificate), strings.Contains(err.Error(), "x509:"): // the library turns it into words
		return "its certificate isn't trusted here"
	case errors.As(err, &record):
		return "it doesn't speak TLS"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it refuses connections"
	}
	return "the connection broke off"
}

func classifyAnswer(call string, code uint16) error {
	said := fmt.Sprintf("%s, %d", ldap.LDAPResultCodeMap[code], code)
	switch code {
	case ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultAuthorizationDenied, ldap.LDAPResultStrongAuthRequired:
		return tenure.Errorf(tenure.Forbidden, "%s: the server refuses it (%s)", call, said).WithHint("give Tenure's account the rights that the connector's page names")
	case ldap.LDAPResultConfidentialityRequired:
		return tenure.Errorf(tenure.Blocked, "%s: the server asks for an encrypted connection (%s)", call, said).WithHint("use ldaps:// or set the option startTLS")
	case ldap.LDAPResultReferral:
		return tenure.Errorf(tenure.Blocked, "%s: the server sends elsewhere, which isn't followed (%s)", call, said).WithHint("set the option url to the server that holds the base and may be written")
	case ldap.LDAPResultUnwillingToPerform:
		return tenure.Errorf(tenure.Blocked, "%s: the server doesn't do it (%s)", call, said).WithHint("the server may be read-only, or a replica")
	case ldap.LDAPResultSizeLimitExceeded, ldap.LDAPResultTimeLimitExceeded, ldap.LDAPResultAdminLimitExceeded:
		return tenure.Errorf(tenure.Blocked, "%s: the server's limits cut the answer short (%s)", call, said).WithHint("raise the limits of Tenure's account, as the connector's page says")
	case ldap.LDAPResultConstraintViolation, ldap.LDAPResultInvalidAttributeSyntax, ldap.LDAPResultUndefinedAttributeType, ldap.LDAPResultInvalidDNSyntax,
		ldap.LDAPResultNamingViolation, ldap.LDAPResultObjectClassViolation, ldap.LDAPResultNotAllowedOnRDN, ldap.LDAPResultProtocolError, ldap.LDAPResultUnavailableCriticalExtension, ldap.LDAPResultNotSupported:
		return tenure.Errorf(tenure.Invalid, "%s: the server can't have that (%s)", call, said)
	case ldap.LDAPResultEntryAlreadyExists:
		return tenure.Errorf(tenure.Conflict, "%s: an entry of that name has just been made by somebody else (%s)", call, said)
	case ldap.LDAPResultNoSuchObject, ldap.LDAPResultNotAllowedOnNonLeaf, ldap.LDAPResultNoSuchAttribute, ldap.LDAPResultAttributeOrValueExists, ldap.LDAPResultAssertionFailed,
		ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultOther, ldap.LDAPResultOperationsError:
		// It was otherwise a moment ago: somebody else is at work, or the server isn't well.
		return tenure.Errorf(tenure.Unavailable, "%s: the server says %s", call, said).Retryable()
	}
	return tenure.Errorf(tenure.Internal, "%s: the server says %s", call, said)
}
