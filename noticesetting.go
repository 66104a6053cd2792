package tenure

import (
	"path"
	"slices"
	"time"
)

// NoticePace is how soon somebody gets notices.
type NoticePace string

// Paces. Blank is at once.
const (
	PaceHourly NoticePace = "hourly" // at the full hour
	PaceDaily  NoticePace = "daily"  // at a time of day
)

// NoticeSettings are a person's own, for mail that goes to them. The zero value is as if there
// were none: every notice at once.
type NoticeSettings struct {
	Notices  []string   `json:"notices,omitempty" doc:"kinds that they want, such as approval.*; none: all" maxItems:"50" maxLength:"64"`
	Unwanted []string   `json:"unwanted,omitempty" doc:"kinds that they don't want" maxItems:"50" maxLength:"64"`
	Language string     `json:"language,omitempty" doc:"of the mail: en or de; blank: the installation's" maxLength:"35"`
	Pace     NoticePace `json:"pace,omitempty" doc:"how soon: hourly, or daily; blank: at once" maxLength:"10"`
	Clock    string     `json:"clock,omitempty" doc:"when, where the pace is daily, such as 08:00" maxLength:"5"`
	Zone     string     `json:"zone,omitempty" doc:"the time zone of all times here, such as Europe/Berlin; blank: UTC" maxLength:"64"`
	Quiet    QuietHours `json:"quiet,omitzero" doc:"when nothing is sent but what is urgent; what waited comes as one message afterwards"`
}

// IsZero says that nothing is set.
func (s NoticeSettings) IsZero() bool {
	return len(s.Notices) == 0 && len(s.Unwanted) == 0 && s.Language == "" && s.Pace == "" && s.Clock == "" && s.Zone == "" && s.Quiet.IsZero()
}

// NoticeLanguages lists the languages that mail can be in, by their tags (BCP 47).
func NoticeLanguages() []string { return []string{"de", "en"} }

// Check refuses settings that mean nothing, as Invalid.
func (s NoticeSettings) Check() error {
	for _, p := range slices.Concat(s.Notices, s.Unwanted) {
		if !NamesNotices(p) {
			return Errorf(Invalid, "%q names no kind of notice", clip(p)).WithHint("such as tenant.suspended, approval.reminder, or tenant.*; docs/notices.md lists them")
		}
	}
	for _, p := range s.Unwanted {
		for _, k := range NoticeKinds() {
			if string(k) == p && k.MustCome() {
				return Errorf(Invalid, "notices of kind %s can't be refused", k).WithHint("somebody counts on it that they arrive; docs/notices.md says which and why")
			}
		}
	}
	switch {
	case s.Language != "" && !slices.Contains(NoticeLanguages(), s.Language):
		return Errorf(Invalid, "mail isn't written in %q", clip(s.Language)).WithHint("en or de")
	case s.Pace != "" && s.Pace != PaceHourly && s.Pace != PaceDaily:
		return Errorf(Invalid, "there is no pace %q", clip(string(s.Pace))).WithHint("hourly or daily, or nothing for at once")
	case (s.Pace == PaceDaily) != (s.Clock != ""):
		return Errorf(Invalid, "a daily message has a time, and nothing else has one")
	}
	if s.Clock != "" {
		if _, err := clockTime(s.Clock); err != nil {
			return err
		}
	}
	if _, err := Zone(s.Zone); err != nil {
		return err
	}
	return s.Quiet.Check()
}

// Wants says whether they want notices of a kind. One that must come is wanted by everybody;
// last says that nobody else wants this one, and the reminder of an approval must come then, too.
func (s NoticeSettings) Wants(k NoticeKind, last bool) bool {
	if k.MustCome() || last && k == NoticeApprovalReminder {
		return true
	}
	return (len(s.Notices) == 0 || k.Among(s.Notices)) && !k.Among(s.Unwanted)
}

// SendAt is when a notice may be sent, now at the earliest, that was made at a moment. What is
// urgent goes at once.
func (s NoticeSettings) SendAt(k NoticeKind, made, now time.Time) time.Time {
	zone, err := Zone(s.Zone)
	if err != nil || k.Urgent() { // a zone that this machine doesn't know: rather too early than never
		return now
	}
	at := now
	switch s.Pace {
	case PaceHourly:
		_, offset := made.In(zone).Zone()
		ahead := time.Duration(offset) * time.Second
		at = later(now, made.Add(ahead).Truncate(time.Hour).Add(time.Hour-ahead))
	case PaceDaily:
		if of, err := clockTime(s.Clock); err == nil {
			at = later(now, nextClock(made, of, zone))
		}
	}
	return s.Quiet.Until(at, zone)
}

// MustCome says that nobody can refuse notices of a kind: of break-glass, so that nobody uses it
// unseen; of a gate that nobody else has answered; and of a legal hold on what the person keeps.
func (k NoticeKind) MustCome() bool {
	return k == NoticeBreakGlass || k == NoticeApprovalEscalation || k == NoticeCustodian
}

// Urgent says that a kind is sent in quiet hours, too, and waits for no digest.
func (k NoticeKind) Urgent() bool { return k == NoticeBreakGlass || k == NoticeApprovalEscalation }

// Among says whether a kind is one of some patterns, with * for any text.
func (k NoticeKind) Among(patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		is, _ := path.Match(p, string(k))
		return is
	})
}

// NamesNotices says whether there is a kind of notice that a pattern is of.
func NamesNotices(pattern string) bool {
	return slices.ContainsFunc(NoticeKinds(), func(k NoticeKind) bool { return k.Among([]string{pattern}) })
}
