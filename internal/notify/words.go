package notify

import (
	"bytes"
	"cmp"
	_ "embed" // the layout
	"html/template"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/words"
)

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
	lang := words.In(tag)
	var out Letter
	customer := forCustomer(to)
	about := func(d told) string { return lang.Say(aboutOf(d.Notice, customer)) }
	switch d := list[0]; {
	case len(list) > 1:
		out.Subject = lang.Say("mail.digest", len(list))
	case d.name != "":
		out.Subject = lang.Say("mail.subject", d.name, about(d))
	default:
		out.Subject = strings.ToUpper(about(d)[:1]) + about(d)[1:]
	}
	out.Subject = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, out.Subject)
	foot := lang.Say("mail.staff", to)
	of := func(kind tenure.NoticeKind) bool {
		return slices.ContainsFunc(list, func(d told) bool { return d.Notice.Kind == kind })
	}
	switch name := cmp.Or(list[0].name, lang.Say("mail.service")); {
	case !customer:
	case of(tenure.NoticeVendor):
		foot = lang.Say("mail.company")
	case of(tenure.NoticeLeave): // not only contacts ask
		foot = lang.Say("mail.leaving", name)
	default:
		foot = lang.Say("mail.customer", name)
	}
	type item struct{ Title, Text string }
	var items []item
	hello := lang.Say("mail.hello")
	text := hello + "\n\n"
	for _, d := range list {
		it := item{Text: shown(d.Notice.Body)}
		if len(list) > 1 && d.name != "" {
			it.Title = lang.Say("mail.subject", d.name, about(d))
			text += it.Title + "\n"
		}
		text += it.Text + "\n\n"
		items = append(items, it)
	}
	out.Text = text + "-- \n" + foot + "\n"
	var b bytes.Buffer
	err := page.Execute(&b, map[string]any{"Language": lang.Tag(), "Subject": out.Subject, "Hello": hello, "Items": items, "Foot": foot})
	out.HTML = b.String()
	return out, err
}

// aboutOf is what a notice is about, in a few words: to staff a stage is told by its name.
func aboutOf(n store.Notice, customer bool) words.Key {
	key := words.Key("about." + kindOf(n))
	if stage, is := strings.CutPrefix(kindOf(n), "tenant."); is && !customer {
		key = words.Key("stage." + stage)
	}
	if !words.Has(key) {
		return "mail.other"
	}
	return key
}
