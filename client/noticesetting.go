package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// PersonalNotices are how a person wants mail.
type PersonalNotices struct {
	Principal string `json:"principal" doc:"the person's name"`
	tenure.NoticeSettings
	SetBy   string    `json:"setBy,omitempty" doc:"who said so last; blank: nobody has, and every notice comes at once"`
	SetAt   time.Time `json:"setAt,omitzero"`
	Version int64     `json:"version"`
}

// NoticeSettingsParams say whose settings are meant.
type NoticeSettingsParams struct {
	Principal string `query:"principal" doc:"a person, by id or name; blank: the caller" maxLength:"100"`
}

// NoticeSettingsChange replaces them.
type NoticeSettingsChange struct {
	NoticeSettingsParams
	IfMatch string `header:"If-Match" doc:"the ETag that was read" maxLength:"100"`
	Body    tenure.NoticeSettings
}

var (
	// ShowNoticeSettings shows how a person wants mail.
	ShowNoticeSettings = Endpoint[NoticeSettingsParams, PersonalNotices]{Name: "notice.settings", Verb: "GET", Path: "/v1/notice-settings", Summary: "Show which notices a person gets by mail, and when: one's own, or another's for a caller who may read access"}
	// SetNoticeSettings says how a person wants mail.
	SetNoticeSettings = Endpoint[NoticeSettingsChange, PersonalNotices]{Name: "notice.set", Verb: "PUT", Path: "/v1/notice-settings", Summary: "Say which notices a person gets by mail, and when: one's own, or another's for a caller who may manage access", Example: `{"unwanted": ["review.*"], "pace": "daily", "clock": "08:00", "zone": "Europe/Berlin", "quiet": {"from": "20:00", "to": "07:00", "weekends": true}}`}
)
