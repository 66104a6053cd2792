package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/mail"
	"net/netip"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/tenurehq/tenure"
)

// MailServer is by which mail goes out.
type MailServer struct {
	Host     string
	Port     int    // 0: 587, or 465 with implicit TLS
	TLS      string // starttls (the default), implicit, or none on this machine alone
	Username string // blank: without signing in
	Password tenure.Secret
	From     string            // an address, with a name or without
	Also     map[string]string // fixed addresses by recipient, several parted by commas
}

// mailer sends mail by one server.
type mailer struct {
	MailServer
	host    string
	from    *mail.Address
	options []gomail.Option
	also    map[string][]string
}

func newMailer(t Target) (*mailer, error) {
	fail := func(format string, args ...any) (*mailer, error) {
		return nil, tenure.Errorf(tenure.Invalid, "notify: target %s: "+format, append([]any{t.Name}, args...)...)
	}
	if t.Mail == nil || t.Mail.Host == "" {
		return fail("mail needs a server")
	}
	if t.URL != "" || len(t.Secrets) > 0 {
		return fail("mail has no url and no secrets: its server has a user name and a password")
	}
	if strings.Contains(t.Mail.Host, "/") || strings.Contains(t.Mail.Host, ":") && net.ParseIP(t.Mail.Host) == nil {
		return fail("server is a name or an address alone; its port is said in port")
	}
	if (t.Mail.Username == "") != t.Mail.Password.IsZero() {
		return fail("username and password go together")
	}
	m := &mailer{MailServer: *t.Mail, host: t.Mail.Host, also: map[string][]string{}}
	var err error
	if m.from, err = mail.ParseAddress(m.From); err != nil {
		return fail("from is no mail address")
	}
	for who, list := range m.Also {
		addresses, err := mail.ParseAddressList(list)
		if err != nil {
			return fail("addresses.%s isn't a list of mail addresses", who)
		}
		for _, a := range addresses {
			m.also[who] = append(m.also[who], a.Address)
		}
	}
	ip, ipErr := netip.ParseAddr(m.host)
	local := m.host == "localhost" || ipErr == nil && ip.Unmap().IsLoopback()
	if ipErr == nil {
		if why := tenure.OffLimits(ip, local); why != "" {
			return fail("nothing is sent to %s: %s", ip, why)
		}
	}
	trust := t.Trust.Clone()
	if trust == nil {
		trust = &tls.Config{}
	}
	trust.ServerName, trust.MinVersion = m.host, tls.VersionTLS12
	dial := dialer(t.Timeout, t.resolver, local)
	through := dial.DialContext
	m.options = []gomail.Option{gomail.WithTimeout(t.Timeout), gomail.WithTLSConfig(trust), gomail.WithHELO("tenure"), gomail.WithoutNoop()}
	port := 587
	switch m.TLS {
	case "", "starttls":
		m.options = append(m.options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case "implicit":
		port = 465
		through = (&tls.Dialer{NetDialer: dial, Config: trust}).DialContext
		m.options = append(m.options, gomail.WithSSL())
	case "none":
		if !local {
			return fail("tls: none is for this machine alone")
		}
		m.options = append(m.options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		return fail("tls is starttls, implicit or none")
	}
	if m.Port != 0 {
		port = m.Port
	}
	if port < 1 || port > 65535 {
		return fail("there is no port %d", port)
	}
	if m.Username != "" {
		auth := gomail.SMTPAuthAutoDiscover
		if m.TLS == "none" || m.TLS == "implicit" { // the library doesn't know that the connection is encrypted, or on this machine
			auth = gomail.SMTPAuthPlainNoEnc
		}
		m.options = append(m.options, gomail.WithSMTPAuth(auth), gomail.WithUsername(m.Username), gomail.WithPassword(m.Password.Reveal()))
	}
	m.options = append(m.options, gomail.WithPort(port), gomail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
		return through(ctx, network, address)
	}))
	return m, nil
}

// send sends one mail to one address. The id is the mail's for good: a mail that comes twice is
// known by it.
func (m *mailer) send(ctx context.Context, timeout time.Duration, to, id string, l Letter, now time.Time) *failure {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(m.from)
	if err := msg.To(to); err != nil {
		return &failure{why: "the address is none", never: true}
	}
	_, domain, _ := strings.Cut(m.from.Address, "@")
	msg.SetMessageIDWithValue(id + "@" + domain)
	msg.SetDateWithValue(now)
	msg.Subject(l.Subject)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's absence is answered to it
	msg.SetBodyString(gomail.TypeTextPlain, l.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, l.HTML)
	client, err := gomail.NewClient(m.host, m.options...)
	if err != nil {
		return &failure{why: "the mail server can't be used", receiver: true}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		return mailFailure(err)
	}
	return nil
}

// mailFailure says what an error of the server means. A recipient that it refuses holds up no
// other; one that it puts off (RFC 5321 §4.2.1: 4yz) comes again later.
func mailFailure(err error) *failure {
	var sent *gomail.SendError
	if !errors.As(err, &sent) {
		return &failure{why: reason(err), receiver: true}
	}
	code := "the mail server didn't answer, or not as mail servers do,"
	if n := sent.ErrorCode(); n > 0 {
		code = "the mail server answered " + strings.TrimSpace(strconv.Itoa(n)+" "+sent.EnhancedStatusCode())
	}
	switch sent.Reason {
	case gomail.ErrSMTPRcptTo:
		return &failure{why: code + " to the address", address: true, never: !sent.IsTemp() && sent.ErrorCode() >= 500}
	case gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
		if sent.ErrorCode() > 0 {
			return &failure{why: code, address: true}
		}
	}
	return &failure{why: code, receiver: true}
}
