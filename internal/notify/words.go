package notify

import (
	"bytes"
	"cmp"
	_ "embed" // the layout
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// words are what mail says in one language beside the notices' own texts.
type words struct {
	subject  string // of a notice of a tenant: tenant, what it is about
	digest   string // of several: how many
	hello    string
	staff    string // why a member of staff gets it: the recipient of the notice
	company  string // why a company does that is told to erase
	customer string // why a contact of a tenant's does: the tenant
	leaving  string // why somebody does who asked to leave, or is asked about it: the tenant
	service  string // what stands for a tenant whose name isn't known
	about    map[string]string
	stages   map[tenure.TenantState]string // what staff reads of a tenant's stages
	other    string                        // what a notice is about that isn't named here
}

// languages are those that mail can be in, by their tag (BCP 47).
var languages = map[string]words{
	"en": {
		subject: "%[1]s: %[2]s", digest: "%d notices", hello: "Hello,",
		staff:    "You get this mail because it is addressed to %s.",
		company:  "You get this mail because your company holds data for us. If that is wrong, answer so by the link.",
		customer: "You get this mail as the contact of %s. If that is wrong, tell whoever provides the service to you.",
		leaving:  "You get this mail because of a request that %s leave. If you know nothing of it, tell whoever provides the service to you.",
		service:  "your service",
		other:    "notice",
		stages: map[tenure.TenantState]string{
			tenure.TenantActive: "active", tenure.TenantSuspended: "suspended", tenure.TenantTransition: "notice given", tenure.TenantTerminating: "access ends",
			tenure.TenantRetained: "data retained", tenure.TenantErasing: "being erased", tenure.TenantAwaitingExpiry: "copies expire", tenure.TenantClosed: "closed",
		},
		about: map[string]string{
			"tenant.active": "your service is ready", "tenant.suspended": "your access is suspended", "tenant.transition": "your service ends",
			"tenant.terminating": "your access ends", "tenant.retained": "your data is kept until its date", "tenant.erasing": "your data is being erased", "tenant.awaiting_expiry": "the last copies expire", "tenant.closed": "everything is closed",
			"approval.reminder": "an approval waits", "approval.escalation": "an approval waits for you", "operation.rejected": "a request was refused",
			"hold.custodian": "a legal hold covers what you keep", "review.due": "an access review is due", "review.finding": "a review has found something", "agreement.ends": "an agreement ends",
			"access.breakglass": "somebody has used break-glass access", "access.anomaly": "access that is unlike before", "sweep.question": "accounts whose owner isn't certain", "target.disabled": "notices don't arrive", "task.due": "a task waits",
			"rule.notice": "news of a customer", "lease.ends": "your access ends soon", "leave.request": "a request to leave", "vendor.erase": "please erase what you hold", "date.ahead": "a date comes near",
		},
	},
	"de": {
		subject: "%[1]s: %[2]s", digest: "%d Mitteilungen", hello: "Guten Tag,",
		staff:    "Sie erhalten diese Mail, weil sie an %s gerichtet ist.",
		company:  "Sie erhalten diese Mail, weil Ihr Unternehmen Daten für uns verarbeitet. Ist das falsch, antworten Sie das bitte über den Link.",
		customer: "Sie erhalten diese Mail als Kontakt von %s. Ist das falsch, sagen Sie es bitte Ihrem Anbieter.",
		leaving:  "Sie erhalten diese Mail wegen eines Antrags auf Kündigung: %s. Wissen Sie davon nichts, sagen Sie es bitte Ihrem Anbieter.",
		service:  "Ihrem Dienst",
		other:    "Mitteilung",
		stages: map[tenure.TenantState]string{
			tenure.TenantActive: "aktiv", tenure.TenantSuspended: "gesperrt", tenure.TenantTransition: "gekündigt", tenure.TenantTerminating: "Zugang endet",
			tenure.TenantRetained: "Daten aufbewahrt", tenure.TenantErasing: "wird gelöscht", tenure.TenantAwaitingExpiry: "Kopien laufen ab", tenure.TenantClosed: "abgeschlossen",
		},
		about: map[string]string{
			"tenant.active": "Ihr Dienst ist bereit", "tenant.suspended": "Ihr Zugang ist gesperrt", "tenant.transition": "Ihr Dienst endet",
			"tenant.terminating": "Ihr Zugang endet", "tenant.retained": "Ihre Daten werden bis zu ihrer Frist aufbewahrt", "tenant.erasing": "Ihre Daten werden gelöscht", "tenant.awaiting_expiry": "die letzten Kopien laufen ab", "tenant.closed": "alles ist abgeschlossen",
			"approval.reminder": "eine Freigabe steht aus", "approval.escalation": "eine Freigabe wartet auf Sie", "operation.rejected": "ein Antrag wurde abgelehnt",
			"hold.custodian": "eine Aufbewahrungspflicht betrifft Sie", "review.due": "eine Rechteprüfung steht an", "review.finding": "eine Prüfung hat etwas gefunden", "agreement.ends": "eine Vereinbarung endet",
			"access.breakglass": "jemand hat den Notzugang benutzt", "access.anomaly": "ungewohnte Zugriffe", "sweep.question": "Konten, deren Besitzer nicht feststeht", "target.disabled": "Mitteilungen kommen nicht an", "task.due": "eine Aufgabe wartet",
			"rule.notice": "Neues von einem Kunden", "lease.ends": "Ihr Zugang endet bald", "leave.request": "ein Antrag auf Kündigung", "vendor.erase": "bitte löschen Sie, was Sie haben", "date.ahead": "ein Termin steht bevor",
		},
	},
}

// Languages lists the languages that mail can be in.
func Languages() []string { return slices.Sorted(maps.Keys(languages)) }

var matcher = language.NewMatcher([]language.Tag{language.English, language.German})

// wordsIn gives the words of a language, or of English where there are none.
func wordsIn(tag string) (string, words) {
	_, i, sure := matcher.Match(language.Make(tag))
	if i == 1 && sure > language.No {
		return "de", languages["de"]
	}
	return "en", languages["en"]
}

//go:embed mail.html
var layout string

var page = template.Must(template.New("mail").Parse(layout))

// Letter is a mail's words.
type Letter struct {
	Subject string
	Text    string
	HTML    string
}

// letter writes a mail of one notice or several, to somebody who is addressed as to.
func letter(list []told, tag, to string) (Letter, error) {
	lang, w := wordsIn(tag)
	var out Letter
	customer := forCustomer(to)
	about := func(d told) string {
		if stage, is := strings.CutPrefix(kindOf(d.Notice), "tenant."); is && !customer {
			return cmp.Or(w.stages[tenure.TenantState(stage)], w.other)
		}
		if title := w.about[kindOf(d.Notice)]; title != "" {
			return title
		}
		return w.other
	}
	switch d := list[0]; {
	case len(list) > 1:
		out.Subject = fmt.Sprintf(w.digest, len(list))
	case d.name != "":
		out.Subject = fmt.Sprintf(w.subject, d.name, about(d))
	default:
		out.Subject = strings.ToUpper(about(d)[:1]) + about(d)[1:]
	}
	out.Subject = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, out.Subject)
	foot := fmt.Sprintf(w.staff, to)
	of := func(kind tenure.NoticeKind) bool {
		return slices.ContainsFunc(list, func(d told) bool { return d.Notice.Kind == kind })
	}
	switch name := cmp.Or(list[0].name, w.service); {
	case !customer:
	case of(tenure.NoticeVendor):
		foot = w.company
	case of(tenure.NoticeLeave): // not only contacts ask
		foot = fmt.Sprintf(w.leaving, name)
	default:
		foot = fmt.Sprintf(w.customer, name)
	}
	type item struct{ Title, Text string }
	var items []item
	text := w.hello + "\n\n"
	for _, d := range list {
		it := item{Text: shown(d.Notice.Body)}
		if len(list) > 1 && d.name != "" {
			it.Title = fmt.Sprintf(w.subject, d.name, about(d))
			text += it.Title + "\n"
		}
		text += it.Text + "\n\n"
		items = append(items, it)
	}
	out.Text = text + "-- \n" + foot + "\n"
	var b bytes.Buffer
	err := page.Execute(&b, map[string]any{"Language": lang, "Subject": out.Subject, "Hello": w.hello, "Items": items, "Foot": foot})
	out.HTML = b.String()
	return out, err
}

// Preview writes a mail of a notice of a kind with made-up values, in a language, to a recipient.
func Preview(kind tenure.NoticeKind, tag, to string) (Letter, error) {
	d := told{name: "example", Delivery: store.Delivery{Notice: store.Notice{Kind: kind, Body: "This is where the notice's own text stands."}}}
	return letter([]told{d}, tag, cmp.Or(to, contact))
}
