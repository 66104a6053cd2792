package notify

import (
	"crypto/tls"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/smtptest"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/words"
)

// letters is a target of mail over a server.
func letters(s *smtptest.Server, mode string, addresses map[string]string) *Target {
	t := &Target{Name: "mail", Kind: Mail, Timeout: 2 * time.Second, Mail: &MailServer{Host: s.Host, Port: s.Port, TLS: mode, From: "Tenure <tenure@platform.example>", Also: addresses}}
	if s.Trust != nil {
		t.Trust = &tls.Config{RootCAs: s.Trust}
	}
	return t
}

// parts are a letter's texts by their type.
func parts(t *testing.T, l smtptest.Letter) map[string]string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(l.Message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("%s %v", kind, err)
	}
	out := map[string]string{}
	r := multipart.NewReader(l.Message.Body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		var from io.Reader = p
		if p.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			from = quotedprintable.NewReader(p)
		}
		text, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		out[kind] = string(text)
	}
}

// TestMail: a mail arrives, encrypted, from who has signed in, as text and as HTML, and none
// arrives twice.
func TestMail(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"starttls", "implicit", "none"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := smtptest.Start(t, mode, "tenure", "marked-password")
			o := onOne(t)
			o.write("n1")
			to := letters(s, mode, map[string]string{"contact": "Ann <ann@customer.example>"})
			to.Mail.Username, to.Mail.Password = "tenure", tenure.NewSecret("marked-password")
			n := o.notifier(to)
			o.must(n.Tick(t.Context(), start))
			o.must(n.Tick(t.Context(), start.Add(time.Hour)))
			got := s.Letters()
			if len(got) != 1 || !slices.Equal(got[0].To, []string{"ann@customer.example"}) || mode != "implicit" && got[0].TLS != (mode == "starttls") {
				t.Fatalf("%d came: %+v; log: %s", len(got), got, o.log.String())
			}
			h := got[0].Message.Header
			from, err := mail.ParseAddress(h.Get("From"))
			if err != nil || from.Address != "tenure@platform.example" || h.Get("Auto-Submitted") != "auto-generated" || !strings.Contains(h.Get("Message-Id"), o.all()[0].ID) {
				t.Errorf("headers: %v", h)
			}
			p := parts(t, got[0])
			if !strings.Contains(p["text/plain"], "text of n1") || !strings.Contains(p["text/html"], "text of n1") {
				t.Errorf("parts: %v", p)
			}
		})
	}
}

// TestMailAddresses: one who is refused, one who is put off and one whose box is full hold up no
// other, and come in their own time; a refusal is told.
func TestMailAddresses(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, "none", "", "")
	o := onOne(t)
	o.write("n1")
	n := o.notifier(letters(s, "none", map[string]string{"contact": "nobody@customer.example, busy@customer.example, full@customer.example, ann@customer.example"}))
	o.must(n.Tick(t.Context(), start))
	to := func() (out []string) {
		for _, l := range s.Letters() {
			out = append(out, l.To...)
		}
		slices.Sort(out)
		return out
	}
	if got := to(); !slices.Equal(got, []string{"ann@customer.example"}) {
		t.Fatalf("it came to %v; log: %s", got, o.log.String())
	}
	o.must(n.Tick(t.Context(), start.Add(time.Minute)))
	o.must(n.Tick(t.Context(), start.Add(time.Hour)))
	if got := to(); !slices.Equal(got, []string{"ann@customer.example", "busy@customer.example"}) {
		t.Errorf("it came to %v", got)
	}
	states := map[string]store.Delivery{}
	for _, d := range o.all() {
		address, _, _ := addressee(d.Address)
		states[address] = d
	}
	if d := states["nobody@customer.example"]; d.State != store.DeliveryRefused || d.Attempts != 1 || !strings.Contains(d.Error, "550") {
		t.Errorf("who is refused: %+v", d)
	}
	if d := states["full@customer.example"]; d.State != store.DeliveryWaiting || d.Attempts < 2 || !strings.Contains(d.Error, "452") {
		t.Errorf("whose box is full: %+v", d)
	}
}

// TestMailServerHangs: one that never answers costs one timeout, holds up no other target, and
// gets everything once it answers.
func TestMailServerHangs(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, "none", "", "")
	o := onOne(t)
	r := newReceiver(t, nil)
	o.write("n1", "n2")
	slow := letters(s, "none", map[string]string{"contact": "slow@customer.example, ann@customer.example"})
	slow.Timeout = 300 * time.Millisecond
	n := o.notifier(slow, r.hook())
	began := time.Now()
	o.must(n.Tick(t.Context(), start))
	if took := time.Since(began); took > 5*time.Second || len(r.ids()) != 2 {
		t.Errorf("it took %s, and %v came elsewhere", took, r.ids())
	}
	if got := s.Letters(); len(got) != 2 || got[0].To[0] != "ann@customer.example" {
		t.Errorf("%d letters came past the address that never answers", len(got))
	}
	if !strings.Contains(o.log.String(), "the mail server didn't answer") {
		t.Errorf("log: %s", o.log.String())
	}
}

// TestMailDigest: many notices for one address are one mail, with each in it.
func TestMailDigest(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, "none", "", "")
	o := onOne(t)
	o.write("n1", "n2", "n3", "n4", "n5")
	o.must(o.notifier(letters(s, "none", map[string]string{"contact": "ann@customer.example"})).Tick(t.Context(), start))
	got := s.Letters()
	if len(got) != 1 || got[0].Message.Header.Get("Subject") != "5 notices" {
		t.Fatalf("%d mails came", len(got))
	}
	text := parts(t, got[0])["text/plain"]
	for _, id := range []string{"n1", "n2", "n3", "n4", "n5"} {
		if !strings.Contains(text, "text of "+id) || o.sent(id).IsZero() {
			t.Errorf("%s isn't in it, or not noted as sent: %s", id, text)
		}
	}
}

// TestMailSettings: what can't be right is refused before anything is sent.
func TestMailSettings(t *testing.T) {
	t.Parallel()
	for what, set := range map[string]MailServer{
		"no server":          {From: "a@b.example"},
		"no sender":          {Host: "mail.example"},
		"in clear":           {Host: "mail.example", From: "a@b.example", TLS: "none"},
		"another TLS":        {Host: "mail.example", From: "a@b.example", TLS: "maybe"},
		"metadata":           {Host: "169.254.169.254", From: "a@b.example"},
		"a port within":      {Host: "mail.example:25", From: "a@b.example"},
		"an address of SMTP": {Host: "smtp://mail.example", From: "a@b.example"},
		"half a sign-in":     {Host: "mail.example", From: "a@b.example", Username: "a"},
		"no port":            {Host: "mail.example", From: "a@b.example", Port: 70000},
		"not an address":     {Host: "mail.example", From: "a@b.example", Also: map[string]string{"platform": "ops"}},
		"a line too many":    {Host: "mail.example", From: "a@b.example\r\nBcc: c@d.example"},
		"a recipient twice":  {Host: "mail.example", From: "a@b.example", Also: map[string]string{"platform": "ops@b.example\r\nc@d.example"}},
	} {
		_, err := New(Options{Targets: []Target{{Name: "mail", Kind: Mail, Mail: &set}}})
		if tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestLetters: words in each language, nothing of a notice read as HTML or as a header.
func TestLetters(t *testing.T) {
	t.Parallel()
	d := told{name: "acme", Delivery: store.Delivery{Notice: store.Notice{Kind: "tenant.suspended", Tenant: someTenant, Recipient: contact, Body: "<b>5 > 3</b>\r\nSubject: x"}}}
	for tag, want := range map[string]string{"en": "acme: your access is suspended", "de-AT": "acme: Ihr Zugang ist gesperrt", "tlh": "acme: your access is suspended", "": "acme: your access is suspended"} {
		l, err := letter([]told{d}, tag, contact)
		if err != nil || l.Subject != want || strings.Contains(l.HTML, "<b>") || !strings.Contains(l.HTML, "5 &gt; 3") {
			t.Errorf("%s: %+v %v", tag, l, err)
		}
	}
	d.name = "acme\r\nBcc: x@y.example"
	if l, _ := letter([]told{d}, "en", contact); strings.ContainsAny(l.Subject, "\r\n") {
		t.Errorf("subject %q", l.Subject)
	}
	if got := words.Languages(); !slices.Equal(got, tenure.NoticeLanguages()) {
		t.Errorf("mail is in %v, and settings take %v", got, tenure.NoticeLanguages())
	}
	for _, kind := range tenure.NoticeKinds() {
		quiet := kind == tenure.NoticeOf(tenure.TenantRequested) || kind == tenure.NoticeOf(tenure.TenantValidating) || kind == tenure.NoticeOf(tenure.TenantProvisioning)
		if !words.Has(words.Key("about."+string(kind))) && !quiet {
			t.Errorf("there are no words about %s", kind)
		}
	}
}

// TestPreviewInEachLanguage: of each kind and reader, a mail in German holds none of Tenure's English
// sentences, nor the other way round; a language that there isn't reads English. Each text that the
// program writes to people outside is shown by one of them.
func TestPreviewInEachLanguage(t *testing.T) {
	t.Parallel()
	shown := map[words.Language]string{}
	for _, kind := range tenure.NoticeKinds() {
		for _, to := range []string{contact, requester, vendor, tenure.Timeline, "ada@example.com", "platform", "person:rita", "role:approver"} {
			for _, lang := range []words.Language{words.English, words.German} {
				l, err := Preview(kind, lang.Tag(), to)
				if err != nil || !strings.Contains(l.HTML, `lang="`+lang.Tag()+`"`) {
					t.Fatalf("%s to %s in %s: %+v %v", kind, to, lang, l, err)
				}
				shown[lang] += l.Text
				other := words.English
				if lang == words.English {
					other = words.German
				}
				for _, k := range words.Keys() {
					for _, part := range other.Parts(k) {
						if p := strings.Trim(part.Text, " .:,;"); len(p) > 12 && strings.Contains(p, " ") && strings.Contains(l.Subject+"\n"+l.Text, p) {
							t.Errorf("%s to %s in %s says %q", kind, to, lang, p)
						}
					}
				}
			}
			en, _ := Preview(kind, "en", to)
			if fr, _ := Preview(kind, "fr", to); fr != en {
				t.Errorf("%s to %s in French isn't as in English", kind, to)
			}
		}
	}
	sources, err := filepath.Glob("../lifecycle/*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range sources {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`words\.Of\("([a-z_.]*[a-z])"|words\.Key\("(task\.[a-z]+)"\)|key = "(task\.[a-z]+)"`).FindAllStringSubmatch(string(src), -1) {
			n++
			key := words.Key(m[1] + m[2] + m[3])
			for lang, all := range shown {
				for _, part := range lang.Parts(key) {
					if !strings.Contains(all, strings.TrimSpace(part.Text)) && key != "leave.why.unconfirmed" { // nobody is told who never confirmed
						t.Errorf("no preview in %s shows %s", lang, key)
					}
				}
			}
		}
	}
	if n < 12 {
		t.Errorf("only %d texts are looked for", n)
	}
}
