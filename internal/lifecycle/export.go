package lifecycle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"filippo.io/age"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
)

// handoverFolder is where a tenant's exports wait for the customer.
func (s *Service) handoverFolder(tenant tenure.TenantID) string {
	return filepath.Join(s.o.Folder, string(tenant))
}

// exportFile is one export on its way to its place: written beside it, synced and
// renamed when whole, encrypted to the customer's own key where one was given.
type exportFile struct {
	f    *os.File
	to   io.Writer
	age  io.WriteCloser
	sum  hash.Hash
	n    int64
	path string // without what its name ends with
	enc  string

	head []byte // as much of it as tells a tar archive
}

// exportTo opens the place of a step's export.
func (s *Service) exportTo(_ context.Context, t *engine.Task) (engine.Sink, error) {
	dir := s.handoverFolder(t.Plan.Tenant)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "hand-over folder: %w", err).Retryable()
	}
	name := strings.NewReplacer("/", "-", `\`, "-").Replace(strings.TrimSuffix(t.Step.Key, "/export"))
	e := &exportFile{sum: sha256.New(), enc: "none"}
	var recipient age.Recipient
	if t.Plan.Recipient != "" {
		r, err := age.ParseX25519Recipient(t.Plan.Recipient)
		if err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "the customer's recipient %q isn't an age recipient", t.Plan.Recipient)
		}
		recipient, e.enc = r, "age to "+t.Plan.Recipient
	}
	e.path = filepath.Join(dir, name)
	f, err := os.OpenFile(e.path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "hand-over file: %w", err).Retryable()
	}
	e.f = f
	e.to = io.MultiWriter(f, e.sum)
	if recipient != nil {
		if e.age, err = age.Encrypt(e.to, recipient); err != nil {
			e.Abort()
			return nil, tenure.Errorf(tenure.Internal, "encrypt the export: %w", err)
		}
	}
	return e, nil
}

// tarMark and its place are how a tar archive is told (POSIX.1-2017, pax, ustar). No text,
// whatever a tenant wrote, has its NUL.
const (
	tarMark  = "ustar\x00"
	tarPlace = 257
)

func (e *exportFile) Write(p []byte) (int, error) {
	if more := tarPlace + len(tarMark) - len(e.head); more > 0 {
		e.head = append(e.head, p[:min(more, len(p))]...)
	}
	e.n += int64(len(p))
	if e.age != nil {
		return e.age.Write(p)
	}
	return e.to.Write(p)
}

// Close makes the file whole and gives its digest, which is the receipt.
func (e *exportFile) Close() (map[string]string, error) {
	if e.age != nil {
		if err := e.age.Close(); err != nil {
			e.Abort()
			return nil, err
		}
	}
	err := e.f.Sync()
	if cerr := e.f.Close(); err == nil {
		err = cerr
	}
	name := e.path + ".jsonl"
	if bytes.HasSuffix(e.head, []byte(tarMark)) {
		name = e.path + ".tar"
	}
	if e.age != nil {
		name += ".age"
	}
	if err == nil {
		err = os.Rename(e.path+".part", name)
	}
	if err == nil {
		err = syncDir(filepath.Dir(e.path))
	}
	if err != nil {
		_ = os.Remove(e.path + ".part")
		return nil, err
	}
	return map[string]string{
		"file": filepath.Base(name), "sha256": hex.EncodeToString(e.sum.Sum(nil)), "bytes": strconv.FormatInt(e.n, 10), "encryption": e.enc,
	}, nil
}

// Abort removes what was begun.
func (e *exportFile) Abort() {
	_ = e.f.Close()
	_ = os.Remove(e.path + ".part")
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// runDropExport removes the hand-over's files when the customer's time is over,
// and sees that they are gone.
func (s *Service) runDropExport(_ context.Context, t *engine.Task) engine.Result {
	dir := s.handoverFolder(t.Plan.Tenant)
	if err := os.RemoveAll(dir); err != nil {
		return engine.Result{Err: tenure.Errorf(tenure.Unavailable, "drop the hand-over: %w", err).Retryable()}
	}
	if err := syncDir(s.o.Folder); err != nil && !os.IsNotExist(err) {
		return engine.Result{Err: tenure.Errorf(tenure.Unavailable, "drop the hand-over: %w", err).Retryable()}
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		return engine.Result{Verdict: tenure.Failed, Err: tenure.Errorf(tenure.Blocked, "the hand-over is still there")}
	}
	return engine.Result{Verdict: tenure.Verified, Extra: func(*store.Tx) error { return nil }}
}
