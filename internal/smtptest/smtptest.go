// Package smtptest gives tests a real mail server of their own: aiosmtpd, which keeps what it
// takes and misbehaves by address.
package smtptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed" // the server
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure/internal/npmtest"
	"github.com/tenurehq/tenure/internal/servertest"
)

//go:embed server.py
var program string

// Server is one running server. Its folder goes with the test.
type Server struct {
	*servertest.Server
	Host  string
	Port  int
	Trust *x509.CertPool // signs its certificate
	t     testing.TB
	kept  string
}

// Letter is what the server took.
type Letter struct {
	From    string
	To      []string
	TLS     bool
	Message *mail.Message
	Data    string
}

// Start starts a server: mode is starttls, implicit or none. With a user and a password it takes
// nothing from who hasn't signed in. Where aiosmtpd can't be had, the test is skipped by name;
// where CI is set it fails.
func Start(t testing.TB, mode, user, password string) *Server {
	t.Helper()
	python := interpreter(t)
	dir := t.TempDir()
	s := &Server{t: t, kept: filepath.Join(dir, "kept")}
	must(t, os.Mkdir(s.kept, 0o700))
	file := filepath.Join(dir, "server.py")
	must(t, os.WriteFile(file, []byte(program), 0o600))
	if mode != "none" {
		s.certificate()
	}
	s.Server = servertest.StartUntil(t, "aiosmtpd", answers, func(address string) *exec.Cmd {
		host, port, err := net.SplitHostPort(address)
		must(t, err)
		s.Host = host
		s.Port, err = strconv.Atoi(port)
		must(t, err)
		cmd := exec.Command(python, file, host, port, s.kept, mode)
		cmd.Env = append(os.Environ(), "SMTP_USER="+user, "SMTP_PASSWORD="+password)
		return cmd
	})
	return s
}

// interpreter is a Python that has aiosmtpd.
func interpreter(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if path, err := exec.LookPath(name); err == nil && exec.Command(path, "-c", "import aiosmtpd").Run() == nil {
			return path
		}
	}
	npmtest.Absent(t, "aiosmtpd", "install the package python3-aiosmtpd")
	return ""
}

func answers(address string) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// certificate makes one for 127.0.0.1.
func (s *Server) certificate() {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(s.t, err)
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, NotBefore: time.Unix(0, 0), NotAfter: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	must(s.t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(s.t, err)
	signed, err := x509.ParseCertificate(der)
	must(s.t, err)
	s.Trust = x509.NewCertPool()
	s.Trust.AddCert(signed)
	must(s.t, os.WriteFile(filepath.Join(s.kept, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(s.t, os.WriteFile(filepath.Join(s.kept, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

// Letters are those that the server has taken, in order.
func (s *Server) Letters() (out []Letter) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.kept, "*.json"))
	must(s.t, err)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		must(s.t, err)
		var l Letter
		must(s.t, json.Unmarshal(raw, &l))
		l.Message, err = mail.ReadMessage(strings.NewReader(l.Data))
		must(s.t, err)
		out = append(out, l)
	}
	return out
}
