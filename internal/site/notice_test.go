package site_test

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// A person sets their quiet hours on the page, and reads them there; nobody sets another's but who manages access.
func TestNoticesPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	olga, ada := h.person("olga", tenure.Viewer, everything), h.person("ada", tenure.Admin, everything)
	olga.use("/access/notices", "/access/notices/settings", "without", "review.*, rule.notice", "pace", "daily", "time", "08:00", "zone", "Europe/Berlin", "from", "20:00", "to", "07:00", "weekends", "true", "language", "de")
	set, err := h.db.NoticeSetting(t.Context(), principal(t, h, "olga"))
	h.must(err)
	if s := set.NoticeSettings; strings.Join(s.Unwanted, "+") != "review.*+rule.notice" || s.Pace != tenure.PaceDaily || s.Clock != "08:00" || s.Zone != "Europe/Berlin" || s.Language != "de" || s.Quiet != (tenure.QuietHours{From: "20:00", To: "07:00", Weekends: true}) || set.SetBy != "olga" {
		t.Fatalf("%+v", set)
	}
	if page := text(olga.get("/access/notices").body); !strings.Contains(page, "from 20:00 to 07:00, and weekends") || !strings.Contains(page, "daily at 08:00") {
		t.Errorf("the page says %s", page)
	}
	if a := olga.get("/access/notices?person=ada"); a.StatusCode == 200 {
		t.Errorf("another's settings are shown: %s", text(a.body))
	}
	ada.use("/access/notices?person=olga", "/access/notices/settings", "without", "", "pace", "", "zone", "", "from", "", "to", "", "weekends", "false", "language", "")
	if set, err = h.db.NoticeSetting(t.Context(), principal(t, h, "olga")); err != nil || !set.NoticeSettings.IsZero() || set.SetBy != "ada" {
		t.Errorf("what the admin set: %+v %v", set, err)
	}
}

func principal(t *testing.T, h *house, name string) tenure.PrincipalID {
	t.Helper()
	p, err := h.db.Principal(t.Context(), name)
	h.must(err)
	return p.ID
}
