package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

// Each person sets their own notices and nobody else's; who manages access sets another's; the log says who did.
func TestNoticeSettings(t *testing.T) {
	t.Parallel()
	ctx, s, all := t.Context(), newService(t), tenure.Scope{All: true}
	at := remote(t, newServer(t, s))
	olga, max, ada := strongly(t, s, at, "olga", tenure.Operator, all), strongly(t, s, at, "max", tenure.Viewer, all), strongly(t, s, at, "ada", tenure.Admin, all)
	show := func(c *client.Client, who string) (client.PersonalNotices, error) {
		return client.ShowNoticeSettings.Call(ctx, c, client.NoticeSettingsParams{Principal: who})
	}
	set := func(c *client.Client, who string, s tenure.NoticeSettings, match string) (client.PersonalNotices, error) {
		return client.SetNoticeSettings.Call(ctx, c, client.NoticeSettingsChange{NoticeSettingsParams: client.NoticeSettingsParams{Principal: who}, IfMatch: match, Body: s})
	}
	if s, err := show(olga, ""); err != nil || s.Principal != "olga" || !s.NoticeSettings.IsZero() || s.Version != 0 {
		t.Fatalf("before anything is set: %+v %v", s, err)
	}
	night := tenure.NoticeSettings{Unwanted: []string{"review.*"}, Pace: tenure.PaceDaily, Clock: "08:00", Zone: "Europe/Berlin", Quiet: tenure.QuietHours{From: "20:00", To: "07:00"}}
	if s, err := set(olga, "", night, ""); err != nil || s.Quiet != night.Quiet || s.SetBy != "olga" || s.Version != 1 || s.SetAt.Before(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Fatalf("her own: %+v %v", s, err)
	}
	if _, err := set(olga, "", night, `"7"`); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("over what she didn't read: %v", err)
	}
	if _, err := show(max, "olga"); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("another's are shown: %v", err)
	}
	if _, err := set(max, "olga", tenure.NoticeSettings{}, ""); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("another's are set: %v", err)
	}
	if _, err := set(ada, "olga", tenure.NoticeSettings{Language: "de"}, ""); err != nil {
		t.Error(err)
	}
	if s, err := show(olga, "olga"); err != nil || s.Language != "de" || s.SetBy != "ada" || s.Pace != "" {
		t.Errorf("what the admin set: %+v %v", s, err)
	}
	if _, err := set(ada, "nobody", tenure.NoticeSettings{}, ""); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("of nobody: %v", err)
	}
	narrow, err := client.New(at.URL, client.WithToken(tenure.NewSecret(strings.TrimPrefix(another(t, s, "olga", store.Token{Only: []tenure.Permission{tenure.TenantRead}})["Authorization"], "Bearer "))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set(narrow, "", tenure.NoticeSettings{Notices: []string{"lease.ends"}}, ""); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("by a token for something else: %v", err)
	}
	for what, bad := range map[string]tenure.NoticeSettings{
		"no kind":           {Notices: []string{"weather.*"}},
		"can't be refused":  {Unwanted: []string{"access.breakglass"}},
		"no language":       {Language: "tlh"},
		"no pace":           {Pace: "weekly"},
		"a day, and when?":  {Pace: tenure.PaceDaily},
		"a time of nothing": {Clock: "08:00"},
		"no time":           {Pace: tenure.PaceDaily, Clock: "8"},
		"no zone":           {Zone: "Local"},
		"no hours":          {Quiet: tenure.QuietHours{From: "20:00"}},
	} {
		if _, err := set(olga, "", bad, ""); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	var by []string
	log, err := client.ReadLog.Call(ctx, ada, client.LogFilter{Kind: "notice.settings"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log.Items {
		by = append(by, e.By+" "+string(e.Data))
	}
	if got := strings.Join(by, ", "); strings.Count(got, `olga {"whose":"own"}`) != 1 || strings.Count(got, `ada {"whose":"another's"}`) != 1 || len(by) != 2 {
		t.Errorf("the log says %q", got)
	}
}
