package notify

import (
	"cmp"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/words"
)

// requester and vendor are whom a preview may be for, beside the recipients of notices: who asks to
// leave, and a company that is told to erase.
const (
	requester = "requester"
	vendor    = "vendor"
)

// sample are the texts of Tenure's own for a kind of notice and a reader, with made-up values. Of most
// there are none: a blueprint or a rule says what the notice says.
func sample(kind tenure.NoticeKind, to string) []words.Phrase {
	const name, link = "example", "https://tenure.example.com/…"
	who, at := "ada@example.com", time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
	day, moment := words.Day(at), words.Moment(at)
	switch {
	case to == tenure.Timeline && strings.HasPrefix(string(kind), "tenant."):
		if key := words.Key("told." + strings.TrimPrefix(string(kind), "tenant.")); words.Has(key) {
			return []words.Phrase{words.Of(key, name)}
		}
	case kind == tenure.NoticeLease && to == contact:
		return []words.Phrase{words.Of("lease.ask", name, moment, link)}
	case kind == tenure.NoticeTask && to == contact:
		var out []words.Phrase
		for _, key := range []words.Key{"task.open", "task.due", "task.overdue"} {
			out = append(out, words.Of(key, words.Key("operation.offboard"), name, words.Plain("…"), moment))
		}
		return out
	case kind == tenure.NoticeLeave && to == contact:
		return []words.Phrase{
			words.Of("leave.ask", who, name, link, moment), words.Of("leave.withdrawn", who, name), words.Of("leave.ended_by_staff", who, name, words.Plain("…")),
			words.Of("leave.lapsed_for_contact", who, name, words.Of("leave.why.contact", name)),
		}
	case kind == tenure.NoticeLeave && to == requester:
		return []words.Phrase{
			words.Of("leave.link", name, link), words.Of("leave.which", name, "ten_…", link), words.Of("leave.gone", name), words.Of("leave.confirmed", name),
			words.Of("leave.refused", name, words.Plain("…")), words.Of("leave.refused_by_staff", name, words.Plain("…")),
			words.Of("leave.lapsed", name, words.Of("leave.why.contact", name)), words.Of("leave.lapsed", name, words.Of("leave.why.silent")), words.Of("leave.lapsed", name, words.Of("leave.why.leaves", name)),
		}
	case kind == tenure.NoticeVendor && to == vendor:
		ask := words.Of("vendor.ask", name, words.Plain("…"), day, link)
		return []words.Phrase{ask, words.Of("vendor.reminder", day, ask)}
	}
	return nil
}

// Preview writes a mail of a notice of a kind with made-up values, in a language, to a recipient: the
// tenant's contact where none is named. Where Tenure has several texts of its own for them, it holds
// each, one below the other.
func Preview(kind tenure.NoticeKind, tag, to string) (Letter, error) {
	to = cmp.Or(to, contact)
	lang := words.In(tag)
	var texts []string
	for _, p := range sample(kind, to) {
		texts = append(texts, p.In(lang))
	}
	if len(texts) == 0 {
		texts = []string{lang.Say("mail.sample")}
	}
	if to == requester || to == vendor {
		to = "ada@example.com"
	}
	d := told{name: "example", Delivery: store.Delivery{Notice: store.Notice{Kind: kind, Body: strings.Join(texts, "\n\n")}}}
	return letter([]told{d}, tag, to)
}
