package installation

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
)

const shelf = `#!/bin/sh
read -r request
case $request in
*'"call":"plant"'*) echo '{"result":{"fingerprint":"shelf 1"}}' ;;
*'"call":"observe"'*) echo '{"result":{"sighting":{"fingerprint":"shelf 1","sentinel":true,"complete":true}}}' ;;
*) echo '{"error":{"code":"invalid","message":"a shelf can do no more"}}' ;;
esac
`

func shelfManifest(program string) string {
	sum := sha256.Sum256([]byte(program))
	return `apiVersion: tenure.dev/v1
kind: Program
name: shelf
version: "1.0"
summary: Shelves.
tested: live
how: here
rights: None.
leaves: Nothing.
program: {path: shelf.sh, sha256: ` + hex.EncodeToString(sum[:]) + `}
types: {}
`
}

// A system is used by the program that it was added with alone: when its manifest or its
// program changes, it is blocked until a person adds it again. One whose manifest is wrong
// is blocked, and no other.
func TestProgramIsPinned(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("programs/shelf.yaml", shelfManifest(shelf))
	write("programs/shelf.sh", shelf)
	write("systems.yaml", "systems: {shelf: {connector: shelf}, files: {connector: filesystem, options: {root: '"+filepath.Join(dir, "files")+"'}}}\n")
	in, err := Init(t.Context(), Options{Dir: dir, Now: time.Now}, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	add := func() {
		t.Helper()
		if _, err := in.AddSystem(t.Context(), "shelf", false, "ada"); err != nil {
			t.Fatal(err)
		}
	}
	// again opens the installation anew, and says why the system isn't well, "" if it is.
	again := func() (why string) {
		t.Helper()
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if in, err = Open(t.Context(), Options{Dir: dir, Now: time.Now}); err != nil {
			t.Fatal(err)
		}
		list, err := in.Systems(t.Context())
		if err != nil || len(list) != 2 {
			t.Fatal(list, err)
		}
		for _, s := range list {
			switch {
			case s.Name == "files" && !s.Well:
				t.Errorf("another system: %s", s.Why)
			case s.Name == "shelf" && !s.Well:
				why = s.Why
			}
		}
		return why
	}
	add()
	if _, err := in.AddSystem(t.Context(), "files", false, "ada"); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		what, file, text, why string
		add                   bool
	}{
		{what: "as it was added"},
		{what: "a comment", file: "programs/shelf.yaml", text: "# a comment\n" + shelfManifest(shelf)},
		{what: "a changed program", file: "programs/shelf.sh", text: shelf + "# more\n", why: "SHA-256"},
		{what: "its new checksum", file: "programs/shelf.yaml", text: shelfManifest(shelf + "# more\n"), why: "was added when its description was 1.0+"},
		{what: "added again", add: true},
		{what: "a changed manifest", file: "programs/shelf.yaml", text: strings.Replace(shelfManifest(shelf+"# more\n"), "Shelves", "Boards", 1), why: "was added when its description was 1.0+"},
		{what: "one with a mistake", file: "programs/shelf.yaml", text: "apiVersion: tenure.dev/v1\nkind: Program\nnam: shelf\n", why: `unknown key "nam"`},
		{what: "one of another name", file: "programs/shelf.yaml", text: strings.Replace(shelfManifest(shelf), "name: shelf", "name: board", 1), why: "is the manifest of board"},
		{what: "added once more", file: "programs/shelf.yaml", text: shelfManifest(shelf + "# more\n")},
		{what: "a program that isn't used and isn't there", file: "programs/other.yaml", text: strings.Replace(strings.Replace(shelfManifest(""), "name: shelf", "name: other", 1), "shelf.sh", "other.sh", 1)},
	}
	for _, s := range steps {
		if s.file != "" {
			write(s.file, s.text)
		}
		if s.add {
			add()
		}
		if why := again(); (why == "") != (s.why == "") || !strings.Contains(why, s.why) {
			t.Errorf("%s: %q, want %q", s.what, why, s.why)
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	write("programs/filesystem.yaml", strings.Replace(shelfManifest(shelf), "name: shelf", "name: filesystem", 1))
	if in, err = Open(t.Context(), Options{Dir: dir, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.AddSystem(t.Context(), "files", false, "ada"); tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "name of another connector") {
		t.Errorf("a name that is taken: %v", err)
	}
}
