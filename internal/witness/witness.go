// Package witness keeps a log's checkpoints where who runs the log can't
// rewrite them. A log that later shows another past is found out by comparing
// it with what its witness has.
package witness

import (
	"context"
	"net/url"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"golang.org/x/mod/sumdb/tlog"
)

// Witness keeps the checkpoints of one log.
type Witness interface {
	// Latest is the newest checkpoint that the witness has: a signed note whose
	// signatures the caller must verify. NotFound before the first one.
	Latest(ctx context.Context) (checkpoint []byte, err error)

	// Publish hands over new, with the proof that it continues old, the
	// checkpoint that the witness has (nil for none). Publishing what the
	// witness has already is fine. Conflict means that its latest is another
	// than old; Blocked, that new doesn't continue it: the log was rewritten.
	Publish(ctx context.Context, old, new []byte, proof tlog.TreeProof) error
}

// Open returns the witness that spec names: a file by its path or as
// "file:///path", an HTTP address by its URL. Anything else is Invalid.
func Open(spec string) (Witness, error) {
	u, err := url.Parse(spec)
	switch {
	case spec == "":
		return nil, tenure.Errorf(tenure.Invalid, "a witness is a path or an address, not nothing")
	case err == nil && u.Scheme == "file":
		if u.Host != "" || u.Path == "" {
			return nil, tenure.Errorf(tenure.Invalid, "witness %q: a file's address has three slashes and a path", spec)
		}
		return NewFile(u.Path), nil
	case err == nil && (u.Scheme == "http" || u.Scheme == "https"):
		if u.Host == "" || u.User != nil {
			return nil, tenure.Errorf(tenure.Invalid, "a witness's address needs a host, and takes no password")
		}
		if err := tenure.CheckHost(u.Hostname()); err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "the witness: %w", err)
		}
		return NewHTTP(spec), nil
	case strings.Contains(spec, "://"):
		return nil, tenure.Errorf(tenure.Invalid, "witness %q is neither a file nor http", spec)
	}
	return NewFile(spec), nil
}

// Name is how a certificate calls the witness that spec names: the host of an
// address, or that it is a file. A path on a machine is nobody else's business.
func Name(spec string) string {
	u, err := url.Parse(spec)
	switch {
	case spec == "":
		return ""
	case err == nil && (u.Scheme == "http" || u.Scheme == "https"):
		return "the witness at " + u.Host
	}
	return "a file that the installation keeps elsewhere"
}

// continues checks what a witness may accept: new continues old by the proof.
// Signatures are for those who hold the log's key.
func continues(old, new []byte, proof tlog.TreeProof) error {
	next, err := audit.ParseCheckpoint(new)
	if err != nil {
		return err
	}
	if old == nil {
		if len(proof) > 0 {
			return tenure.Errorf(tenure.Invalid, "a first checkpoint takes no proof")
		}
		return nil
	}
	last, err := audit.ParseCheckpoint(old)
	if err != nil {
		return err
	}
	if err := audit.VerifyConsistency(last, next, proof); err != nil {
		return tenure.Errorf(tenure.Blocked, "publish the checkpoint of size %d: %w", next.Size, err)
	}
	return nil
}
