// Package secret reads secrets from where they are kept: an environment variable, a
// file, or OpenBao's or Vault's key-value store. A settings file holds the place alone:
//
//	env:NAME                  an environment variable
//	file:PATH                 a regular file of at most 1 MiB, without the white space around what it holds
//	vault:MOUNT/PATH#FIELD    a field of a secret of the key-value store, version 1 or 2
//
// MOUNT/PATH is what "bao kv get" and "vault kv get" take; which of its parts is the mount,
// and of which version that is, the server says. No value is in an error.
package secret

import (
	"context"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/tenurehq/tenure"
)

// Notations is how a place can be written, for hints.
const Notations = "env:NAME, file:PATH or vault:MOUNT/PATH#FIELD"

// Place is where a value is kept.
type Place struct {
	kind  string // env, file or vault
	at    string // the variable, the file's path, or MOUNT/PATH
	field string // of vault
}

// Parse reads a place. What isn't written as one is none; one that can't be right is
// Invalid.
func Parse(text string) (p Place, ok bool, err error) {
	kind, at, found := strings.Cut(text, ":")
	if !found || kind != "env" && kind != "file" && kind != "vault" {
		return Place{}, false, nil
	}
	p = Place{kind: kind, at: at}
	if kind == "vault" {
		p.at, p.field, _ = strings.Cut(at, "#")
		parts := strings.Split(p.at, "/")
		for _, part := range parts {
			if part == "" || part == "." || part == ".." {
				parts = nil
			}
		}
		if len(parts) < 2 || p.field == "" || strings.ContainsAny(at, "?%\\ \t\r\n") {
			return Place{}, true, tenure.Errorf(tenure.Invalid, "a secret's place in the vault is written vault:MOUNT/PATH#FIELD").WithHint("for example vault:secret/platform/main-db#password, where vault kv get secret/platform/main-db shows a field password")
		}
	}
	return p, true, nil
}

// String is the place as it is written. It tells no value.
func (p Place) String() string {
	if p.kind == "vault" {
		return "vault:" + p.at + "#" + p.field
	}
	return p.kind + ":" + p.at
}

// Changes says whether a process can see the value change there: an environment stays as
// it was when the process began.
func (p Place) Changes() bool { return p.kind != "env" }

// IsZero says whether it is no place.
func (p Place) IsZero() bool { return p.kind == "" }

// Value is what was read.
type Value struct {
	tenure.Secret
	Since time.Time // when it was put there, as the place says; zero where it doesn't
}

// Reader reads values. Its methods may be called from any goroutine.
type Reader struct {
	vault *Vault // nil: there is none
}

// NewReader makes a reader; without a vault, what is kept in one can't be read.
func NewReader(v *Vault) *Reader { return &Reader{vault: v} }

// Read reads the value that a place has now. One that is absent or blank is Invalid, one
// that the vault doesn't have or doesn't give is Blocked, and a vault that can't be asked
// is Unavailable.
func (r *Reader) Read(ctx context.Context, p Place) (Value, error) {
	switch p.kind {
	case "env":
		v, set := os.LookupEnv(p.at)
		if !set || strings.TrimSpace(v) == "" {
			return Value{}, tenure.Errorf(tenure.Invalid, "the environment variable %s is not set", p.at)
		}
		return plain(p, v)
	case "file":
		return readFile(p.at)
	case "vault":
		if r == nil || r.vault == nil {
			return Value{}, tenure.Errorf(tenure.Invalid, "%s: tenure.yaml names no vault", p).WithHint("vault: {address: https://vault.example:8200, token: file:PATH}")
		}
		return r.vault.read(ctx, p)
	}
	return Value{}, tenure.Errorf(tenure.Invalid, "no place of a value is given").WithHint("write %s", Notations)
}

// plain is a value without the white space around it. One with a NUL or a byte order mark is Invalid: it
// was written in another encoding, or isn't text. The error doesn't show it.
func plain(p Place, text string) (Value, error) {
	switch {
	case strings.ContainsRune(text, 0):
		return Value{}, tenure.Errorf(tenure.Invalid, "the value at %s holds a NUL", p).WithHint("write it as text in UTF-8")
	case strings.ContainsRune(text, '\ufeff'):
		return Value{}, tenure.Errorf(tenure.Invalid, "the value at %s holds a byte order mark", p).WithHint("write it as UTF-8 without one")
	}
	return Value{Secret: tenure.NewSecret(strings.TrimSpace(text))}, nil
}

// largestFile is how large a file with a value may be.
const largestFile = 1 << 20

// readFile reads a file's value and its age from one handle. It doesn't wait for a pipe.
func readFile(path string) (Value, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Value{}, tenure.Errorf(tenure.Invalid, "the file %s can't be read", path)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Value{}, tenure.Errorf(tenure.Invalid, "the file %s can't be read", path)
	}
	if !info.Mode().IsRegular() {
		return Value{}, tenure.Errorf(tenure.Invalid, "%s is not a regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, largestFile+1))
	if err != nil {
		return Value{}, tenure.Errorf(tenure.Invalid, "the file %s can't be read", path)
	}
	if len(b) > largestFile {
		return Value{}, tenure.Errorf(tenure.Invalid, "the file %s is larger than 1 MiB", path)
	}
	v, err := plain(Place{kind: "file", at: path}, string(b))
	if err != nil {
		return Value{}, err
	}
	if v.IsZero() {
		return Value{}, tenure.Errorf(tenure.Invalid, "the file %s is empty", path)
	}
	v.Since = info.ModTime().UTC().Truncate(time.Microsecond)
	return v, nil
}

// Keep keeps the reader able to read: it renews what it signed in to the vault with. It is
// cheap while nothing is due.
func (r *Reader) Keep(ctx context.Context) error {
	if r == nil || r.vault == nil {
		return nil
	}
	return r.vault.keep(ctx)
}
