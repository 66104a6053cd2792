// Package slapdtest gives tests a real LDAP server of their own: OpenLDAP's slapd on a
// folder of the test's, with password policies, and with hands on what it keeps.
package slapdtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure/internal/npmtest"
	"github.com/tenurehq/tenure/internal/servertest"
)

// What each server holds from the start.
const (
	Base   = "dc=platform,dc=example"
	Root   = "cn=root," + Base   // the database's own superuser
	Tenure = "cn=tenure," + Base // the account that a connector is given
)

// Server is one running server. Its folder goes with the test.
type Server struct {
	*servertest.Server
	URL      string // ldap://127.0.0.1:PORT
	Password string // of Tenure
	Folder   string

	SecureURL string // ldaps://127.0.0.1:PORT, where Settings.TLS asks for it
	Authority string // the file with the certificate that signs the server's

	root string // the superuser's password
}

// Settings are what one server has otherwise than others. The zero value is the usual one.
type Settings struct {
	Limits   string // the limits statement of Tenure's account, "" for paged searches without end
	Access   string // access statements that come before the others
	Database string // more statements of the database
	Global   string // more statements of the server
	TLS      bool   // the server has a certificate
	NoPolicy bool   // no password policy holds for all
	Entries  string // LDIF (RFC 2849) that is loaded before the server starts
}

// Program finds slapd. Where it can't be had, the test is skipped by name; where CI is set
// it fails.
func Program(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"slapd", "/usr/sbin/slapd", "/usr/local/libexec/slapd", "/usr/libexec/slapd"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	npmtest.Absent(t, "slapd", "install the package slapd")
	return ""
}

// Access is what a tenant's user, Tenure and everybody else may do. A user reads itself and
// what is in its own unit, and nothing else.
const access = `
access to attrs=userPassword
	by dn.exact="` + Tenure + `" manage
	by anonymous auth
	by * none
access to attrs=entry,objectClass,uid,cn,sn,displayName,mail,ou,member dn.regex="^(.+,)?(ou=[^,]+),dc=platform,dc=example$"
	by dn.exact="` + Tenure + `" manage
	by dn.regex="^.+,$2,dc=platform,dc=example$" read
	by * none
access to *
	by dn.exact="` + Tenure + `" manage
	by * none
`

func first(found ...string) string {
	for _, path := range found {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return found[0]
}

// Start starts a server on a free port of 127.0.0.1 and ends it with the test.
func Start(t testing.TB, with Settings) *Server {
	t.Helper()
	program := Program(t)
	s := &Server{Folder: t.TempDir(), Password: rand.Text(), root: rand.Text()}
	data := filepath.Join(s.Folder, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if with.Limits == "" {
		with.Limits = "size.soft=500 size.hard=500 size.prtotal=unlimited time=unlimited"
	}
	if with.TLS {
		s.certify(t)
		with.Global += fmt.Sprintf("\nTLSCertificateFile %[1]s/server.crt\nTLSCertificateKeyFile %[1]s/server.key\n", s.Folder)
		s.SecureURL = "ldaps://" + free(t)
	}
	policy := "ppolicy_default \"cn=default," + Base + "\""
	if with.NoPolicy {
		policy = ""
	}
	schema := first("/etc/ldap/schema", "/etc/openldap/schema", "/usr/local/etc/openldap/schema")
	modules := first("/usr/lib/ldap", "/usr/lib/openldap", "/usr/lib64/openldap")
	conf := filepath.Join(s.Folder, "slapd.conf")
	s.write(t, conf, fmt.Sprintf(`
include %[1]s/core.schema
include %[1]s/cosine.schema
include %[1]s/inetorgperson.schema
modulepath %[2]s
moduleload back_mdb
moduleload ppolicy
moduleload memberof
sizelimit 500
password-hash {SSHA}
threads 4
%[12]s
database mdb
suffix "%[3]s"
directory %[4]s
maxsize 1073741824
dbnosync
rootdn "%[5]s"
rootpw %[6]s
index objectClass,entryUUID eq
index uid,cn,ou,member eq
overlay ppolicy
%[13]s
overlay memberof
memberof-refint true
limits dn.exact="%[7]s" %[8]s
%[9]s
%[10]s
%[11]s
`, schema, modules, Base, data, Root, s.root, Tenure, with.Limits, with.Database, with.Access, access, with.Global, policy))
	ldif := filepath.Join(s.Folder, "first.ldif")
	s.write(t, ldif, fmt.Sprintf(`dn: %[1]s
objectClass: dcObject
objectClass: organization
dc: platform
o: platform

dn: cn=default,%[1]s
objectClass: organizationalRole
objectClass: pwdPolicy
cn: default
pwdAttribute: userPassword
pwdLockout: TRUE

dn: %[2]s
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: tenure
userPassword: %[3]s

%[4]s
`, Base, Tenure, s.Password, with.Entries))
	if out, err := exec.Command(program, "-T", "add", "-q", "-f", conf, "-l", ldif).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v: %s", err, out)
	}
	s.Server = servertest.StartUntil(t, "slapd", func(address string) bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, func(address string) *exec.Cmd {
		return exec.Command(program, "-h", strings.TrimSpace("ldap://"+address+" "+s.SecureURL), "-f", conf, "-d", "0")
	})
	s.URL = "ldap://" + s.Address
	return s
}

func (s *Server) write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// free is an address that nobody listens at.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// certify makes the server a certificate for 127.0.0.1 that it signs itself.
func (s *Server) certify(t testing.TB) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s.Authority = filepath.Join(s.Folder, "server.crt")
	s.write(t, s.Authority, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	s.write(t, filepath.Join(s.Folder, "server.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// As signs in with a simple bind. The connection ends with the test.
func (s *Server) As(t testing.TB, dn, password string) (*ldap.Conn, error) {
	t.Helper()
	c, err := ldap.DialURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, c.Bind(dn, password)
}

// AsRoot is a connection of the superuser's, to whom no limit and no access rule applies.
func (s *Server) AsRoot(t testing.TB) *ldap.Conn {
	t.Helper()
	c, err := s.As(t, Root, s.root)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// All gives every entry below a DN, itself included; none if it isn't there.
func (s *Server) All(t testing.TB, below string, attributes ...string) []*ldap.Entry {
	t.Helper()
	c, err := s.As(t, Root, s.root)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.SearchWithPaging(ldap.NewSearchRequest(below, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", attributes, nil), 500)
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return got.Entries
}

// Look writes down every entry with all of its attributes but those that say when it was
// changed last, and by whom.
func (s *Server) Look(t testing.TB) string {
	t.Helper()
	var lines []string
	for _, e := range s.All(t, Base, "*", "+") {
		for _, a := range e.Attributes {
			switch a.Name {
			case "entryCSN", "contextCSN", "modifyTimestamp", "modifiersName", "pwdChangedTime":
				continue
			}
			slices.Sort(a.Values)
			lines = append(lines, fmt.Sprintf("%s %s=%q", e.DN, a.Name, a.Values))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
