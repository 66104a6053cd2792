package source

import (
	"strings"
	"testing"
)

// Secrets are written apart here, so that no scanner takes this file for one that leaks.
var betrayals = map[string]string{
	"a private key (PEM)":         "-----BEGIN RSA PRIVATE" + " KEY-----MIIB-----END RSA PRIVATE" + " KEY-----",
	"an access key of AWS":        "AKIA" + "IOSFODNN7EXAMPLE",
	"a token of GitHub":           "ghp" + "_0123456789abcdefghijABCDEFGHIJ012345",
	"a token of GitLab":           "glpat" + "-0123456789abcdefghij",
	"a key of Stripe":             "sk" + "_live_0123456789abcdef",
	"a token of Slack":            "xoxb" + "-0123456789-abcdef",
	"a key of Google's":           "AIza" + "0123456789abcdefghijABCDEFGHIJ01234",
	"a token of OpenBao or Vault": "hvs" + ".0123456789abcdefghijABCD",
	"a key of age":                "AGE-SECRET" + "-KEY-10123456789ABCDEFGHIJK",
	"an address with a password":  "postgres://app:" + "hunter2hunter2@db.example/app",
	"a signed token (JWT)":        "eyJ" + "hbGciOiJub25l.eyJzdWIiOiJub2JvZHki.c2lnbmF0dXJl",
}

// A file with a secret in it is refused with its place, and no excerpt shows it, also where
// something else is wrong on its line.
func TestSecretsInFiles(t *testing.T) {
	t.Parallel()
	for kind, secret := range betrayals {
		src := "name: x # " + secret + "\nother: [\"" + secret + "\", a]\nname: y\n"
		_, found, err := Read([]byte(src), "f.yaml", Kind{Noun: "menu"})
		if err == nil {
			err = found.Err()
		}
		if err == nil || !strings.Contains(err.Error(), "f.yaml:1:1") || !strings.Contains(err.Error(), "f.yaml:2:") || !strings.Contains(err.Error(), "this looks like "+kind) {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the refusal shows it: %v", kind, err)
		}
	}
}

// Of a private key no line is shown, whatever else is wrong near it.
func TestPrivateKeyInAFile(t *testing.T) {
	t.Parallel()
	src := "key: |\n  " + "-----BEGIN PRIVATE" + " KEY-----\n  MIIBVAIBADANBgkq\n  -----END RSA PRIVATE" + " KEY-----\nkey: 1\n"
	_, found, err := Read([]byte(src), "f.yaml", Kind{Noun: "menu"})
	if err == nil {
		err = found.Err()
	}
	if err == nil || !strings.Contains(err.Error(), "private key") || !strings.Contains(err.Error(), "given twice") || strings.Contains(err.Error(), "MIIB") {
		t.Errorf("%v", err)
	}
}
