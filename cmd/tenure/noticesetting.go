package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) noticeSettings() *cobra.Command {
	var who client.NoticeSettingsParams
	cmd := command("settings", "Show which notices you get by mail, and when", "Without settings every notice comes at once. Break-glass, escalations, gates that wait for you alone and legal holds on what you keep come in any case.", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		s, err := ask(cmd.Context(), a, client.ShowNoticeSettings, who)
		if err != nil {
			return err
		}
		return a.show(s, func(o *page) { o.noticeSettings(s) })
	})
	cmd.Flags().StringVar(&who.Principal, "for", "", "somebody else's, for who reads access")
	cmd.AddCommand(a.noticeSettingsSet(), a.noticeSettingsReset())
	return cmd
}

// replaceNoticeSettings reads a person's settings, changes them and writes them back.
func (a *app) replaceNoticeSettings(ctx context.Context, who client.NoticeSettingsParams, change func(*tenure.NoticeSettings)) error {
	s, err := a.writing(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	have, err := client.ShowNoticeSettings.Call(ctx, s.Client, who)
	if err != nil {
		return err
	}
	p := client.NoticeSettingsChange{NoticeSettingsParams: who, IfMatch: strconv.Quote(strconv.FormatInt(have.Version, 10)), Body: have.NoticeSettings}
	change(&p.Body)
	now, err := client.SetNoticeSettings.Call(ctx, s.Client, p)
	if err != nil {
		return err
	}
	return a.show(now, func(o *page) { o.noticeSettings(now) })
}

func (a *app) noticeSettingsSet() *cobra.Command {
	var who client.NoticeSettingsParams
	var in tenure.NoticeSettings
	var pace, quiet string
	cmd := command("set", "Say which notices you get by mail, and when", "What isn't named stays as it is; a blank text takes it back.", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		said := cmd.Flags().Changed
		hours, err := quietHours(quiet)
		if err != nil {
			return err
		}
		return a.replaceNoticeSettings(cmd.Context(), who, func(s *tenure.NoticeSettings) {
			if said("only") {
				s.Notices = named(in.Notices)
			}
			if said("without") {
				s.Unwanted = named(in.Unwanted)
			}
			if said("language") {
				s.Language = in.Language
			}
			if said("pace") {
				s.Pace = tenure.NoticePace(pace)
				if s.Pace != tenure.PaceDaily {
					s.Clock = ""
				}
			}
			if said("at") {
				s.Clock = in.Clock
			}
			if said("zone") {
				s.Zone = in.Zone
			}
			if said("quiet") {
				s.Quiet.From, s.Quiet.To = hours.From, hours.To
			}
			if said("quiet-weekends") {
				s.Quiet.Weekends = in.Quiet.Weekends
			}
		})
	})
	f := cmd.Flags()
	f.StringVar(&who.Principal, "for", "", "somebody else's, for who manages access")
	f.StringSliceVar(&in.Notices, "only", nil, "kinds that are wanted, such as approval.*")
	f.StringSliceVar(&in.Unwanted, "without", nil, "kinds that aren't, such as review.*")
	f.StringVar(&in.Language, "language", "", "of the mail: en or de")
	f.StringVar(&pace, "pace", "", "hourly, or daily in one message; blank is at once")
	f.StringVar(&in.Clock, "at", "", "when the daily message comes, such as 08:00")
	f.StringVar(&in.Zone, "zone", "", "the time zone of all times, such as Europe/Berlin; blank is UTC")
	f.StringVar(&quiet, "quiet", "", "hours in which only what is urgent comes, such as 20:00-07:00")
	f.BoolVar(&in.Quiet.Weekends, "quiet-weekends", false, "all of Saturday and Sunday, too")
	return cmd
}

func (a *app) noticeSettingsReset() *cobra.Command {
	var who client.NoticeSettingsParams
	cmd := command("reset", "Get every notice at once again", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		return a.replaceNoticeSettings(cmd.Context(), who, func(s *tenure.NoticeSettings) { *s = tenure.NoticeSettings{} })
	})
	cmd.Flags().StringVar(&who.Principal, "for", "", "somebody else's, for who manages access")
	return cmd
}

// named leaves blank names out.
func named(list []string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return strings.TrimSpace(s) == "" })
}

// quietHours reads hours such as 20:00-07:00; blank is none.
func quietHours(text string) (q tenure.QuietHours, err error) {
	if strings.TrimSpace(text) == "" {
		return q, nil
	}
	q.From, q.To, _ = strings.Cut(strings.ReplaceAll(text, " ", ""), "-")
	if q.From == "" || q.To == "" {
		return q, tenure.Errorf(tenure.Invalid, "%q are no hours", text).WithHint("write them like 20:00-07:00")
	}
	return q, q.Check()
}

func (p *page) noticeSettings(s client.PersonalNotices) {
	pace, quiet := "at once", s.Quiet.From+"-"+s.Quiet.To
	switch s.Pace {
	case tenure.PaceHourly:
		pace = "hourly, in one message"
	case tenure.PaceDaily:
		pace = "daily at " + s.Clock + ", in one message"
	}
	switch {
	case s.Quiet.IsZero():
		quiet = "none"
	case s.Quiet.From == "":
		quiet = "weekends"
	case s.Quiet.Weekends:
		quiet += ", and weekends"
	}
	kinds := strings.Join(s.Notices, ", ")
	if kinds == "" {
		kinds = "all"
	}
	p.fields("person", s.Principal, "kinds", kinds, "without", strings.Join(s.Unwanted, ", "), "language", s.Language, "comes", pace, "quiet hours", quiet, "time zone", s.Zone, "set by", s.SetBy, "set", p.when(s.SetAt))
}
