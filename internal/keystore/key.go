package keystore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/daead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// KeyID names a key: "key_", 16 hexadecimal digits for the tenant, "_" and 32
// for the key. It says nothing about either and is public.
type KeyID string

// Purpose is what a key is for.
type Purpose string

const (
	Personal   Purpose = "personal"   // data of the tenant's people, in the log and in the store
	Credential Purpose = "credential" // what Tenure signs in to systems with
	Export     Purpose = "export"     // exports and archives
	Evidence   Purpose = "evidence"   // who of our own staff did what; no tenant, outlives them
)

// KeySpec says which key is meant. The same spec is the same key.
type KeySpec struct {
	Tenant  tenure.TenantID `json:"tenant,omitempty"` // empty for Evidence only
	Purpose Purpose         `json:"purpose"`
	Class   string          `json:"class"`          // the retention class whose end is the key's
	Name    string          `json:"name,omitempty"` // tells apart several keys with the same ends
}

// pseudonymName is the Name of keys for pseudonyms, whose keysets are deterministic.
const pseudonymName = "pseudonym"

// PlannedKey is the key of a tenant that a plan names by its purpose, as "class-" with
// a data class, or as "pseudonym-" with the name of a key for pseudonyms.
func PlannedKey(tenant tenure.TenantID, purpose string) KeySpec {
	if class, ok := strings.CutPrefix(purpose, "class-"); ok {
		return KeySpec{Tenant: tenant, Purpose: Personal, Class: class, Name: "class"}
	}
	if name, ok := strings.CutPrefix(purpose, tenure.PseudonymKey); ok {
		return KeySpec{Tenant: tenant, Purpose: Personal, Class: "pseudonym " + name, Name: pseudonymName}
	}
	return KeySpec{Tenant: tenant, Purpose: Purpose(purpose), Class: "tenant"}
}

func (k KeySpec) check() error {
	switch k.Purpose {
	case Personal, Credential, Export:
		if _, err := tenure.ParseID[tenure.TenantID](string(k.Tenant)); err != nil {
			return err
		}
	case Evidence:
		if k.Tenant != "" {
			if _, err := tenure.ParseID[tenure.TenantID](string(k.Tenant)); err != nil {
				return err
			}
		}
	default:
		return tenure.Errorf(tenure.Invalid, "%q is no purpose of a key", k.Purpose)
	}
	if k.Class == "" {
		return tenure.Errorf(tenure.Invalid, "a %s key needs a retention class", k.Purpose)
	}
	return nil
}

// ID is the id of the spec's key, whether there is one or not.
func (k KeySpec) ID() KeyID {
	return KeyID("key_" + group(k.Tenant) + "_" + short(16, string(k.Tenant), string(k.Purpose), k.Class, k.Name))
}

func group(t tenure.TenantID) string { return short(8, "tenant", string(t)) }

func short(n int, parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:n])
}

// parse checks an id, which becomes part of a path.
func (id KeyID) parse() (group string, err error) {
	rest, ok := strings.CutPrefix(string(id), "key_")
	group, key, _ := strings.Cut(rest, "_")
	if !ok || len(group) != 16 || len(key) != 32 || strings.Trim(group+key, "0123456789abcdef") != "" {
		return "", tenure.Errorf(tenure.Invalid, "that is not the id of a key").
			WithHint("one looks like key_0011223344556677_00112233445566778899aabbccddeeff")
	}
	return group, nil
}

// record is what is kept of a key for good, its tombstone included.
type record struct {
	Format    int       `json:"format"`
	ID        KeyID     `json:"id"`
	Spec      KeySpec   `json:"spec"`
	Created   time.Time `json:"created"`
	Destroyed time.Time `json:"destroyed,omitzero"` // the tombstone
	Copies    []Copy    `json:"copies,omitempty"`
}

const recordFormat = 1

func (s *Store) path(group string, id KeyID, ext string) string {
	return filepath.Join(s.dir, "keys", group, string(id)+ext)
}

func (s *Store) readRecord(id KeyID) (*record, error) {
	group, err := id.parse()
	if err != nil {
		return nil, err
	}
	return readRecordFile(s.path(group, id, ".json"), id)
}

func readRecordFile(path string, id KeyID) (*record, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, tenure.Errorf(tenure.NotFound, "there is no key %s", id)
	}
	if err != nil {
		return nil, fileError("read", path, err)
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, tenure.Errorf(tenure.Internal, "the record of key %s: %w", id, err)
	}
	if r.Format != recordFormat || r.ID != id || r.Spec.ID() != id {
		return nil, tenure.Errorf(tenure.Internal, "the record of key %s is of format %d and names %s", id, r.Format, r.ID)
	}
	return &r, nil
}

func (s *Store) writeRecord(r *record) error {
	group, err := r.ID.parse()
	if err != nil {
		return err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return tenure.Errorf(tenure.Internal, "the record of key %s: %w", r.ID, err)
	}
	return replaceFile(s.path(group, r.ID, ".json"), append(b, '\n'))
}

// Create makes the spec's key and returns its id. A key that is there already
// is fine, so it may be repeated; one that was destroyed is Blocked, for good:
// another Name makes another key.
func (s *Store) Create(ctx context.Context, spec KeySpec) (KeyID, error) {
	if err := spec.check(); err != nil {
		return "", err
	}
	id := spec.ID()
	defer s.lock(id)()
	r, err := s.readRecord(id)
	switch {
	case err == nil && !r.Destroyed.IsZero():
		return "", destroyedError(id)
	case err != nil && tenure.CodeOf(err) != tenure.NotFound:
		return "", err
	case err == nil && s.keyFileExists(id):
		return id, nil
	case err == nil:
		return "", tenure.Errorf(tenure.Unavailable, "key %s has a record but its file is gone", id).
			WithHint("restore it from a copy, or destroy the key")
	}
	wrapped, err := s.newKeyset(ctx, id, spec)
	if err != nil {
		return "", err
	}
	group := group(spec.Tenant)
	if err := os.MkdirAll(filepath.Join(s.dir, "keys", group), 0o700); err != nil {
		return "", fileError("make", group, err)
	}
	// The key's file first: a crash in between leaves a key that nothing was
	// sealed under, and the next Create replaces it.
	if err := replaceFile(s.path(group, id, ".key"), wrapped); err != nil {
		return "", err
	}
	if err := s.writeRecord(&record{Format: recordFormat, ID: id, Spec: spec, Created: s.at()}); err != nil {
		return id, err
	}
	s.Note(ctx)
	return id, nil
}

func (s *Store) newKeyset(ctx context.Context, id KeyID, spec KeySpec) ([]byte, error) {
	template := aead.AES256GCMKeyTemplate()
	if spec.Name == pseudonymName {
		template = daead.AESSIVKeyTemplate()
	}
	h, err := keyset.NewHandle(template)
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "make key %s: %w", id, err)
	}
	var b bytes.Buffer
	if err := h.WriteWithContext(ctx, keyset.NewBinaryWriter(&b), s.wrapper, wrapContext(string(id))); err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "wrap key %s: %w", id, err)
	}
	return b.Bytes(), nil
}

// wrapContext binds a wrapped key to its name, so that no file can stand in for another.
func wrapContext(name string) []byte { return []byte("tenure keystore v1 " + name) }

func (s *Store) keyFileExists(id KeyID) bool {
	group, err := id.parse()
	if err != nil {
		return false
	}
	_, err = os.Stat(s.path(group, id, ".key"))
	return err == nil
}

func destroyedError(id KeyID) error {
	return tenure.Errorf(tenure.Blocked, "key %s was destroyed", id)
}

// lock takes the lock of a key and returns what gives it back.
func (s *Store) lock(id KeyID) func() {
	sum := sha256.Sum256([]byte(id))
	l := &s.locks[sum[0]%byte(len(s.locks))]
	l.Lock()
	return l.Unlock
}
