package server

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

func noticeSettingRoutes(s *Server) {
	// Whose they are is the governor's to look at: one sets one's own.
	route(s, client.ShowNoticeSettings, Access{Reach: Signed}, func(ctx context.Context, c *Call, p *client.NoticeSettingsParams) (client.PersonalNotices, error) {
		set, who, err := c.Governor.NoticeSetting(ctx, c.Caller, p.Principal)
		return c.noticeSettings(set, who, p.Principal, err)
	})
	route(s, client.SetNoticeSettings, Access{Reach: Signed}, setNoticeSettings)
}

func setNoticeSettings(ctx context.Context, c *Call, p *client.NoticeSettingsChange) (client.PersonalNotices, error) {
	have, who, err := c.Governor.NoticeSetting(ctx, c.Caller, p.Principal)
	version := int64(0)
	if err == nil {
		if err = c.Match(p.IfMatch, have.Version); p.IfMatch != "" && p.IfMatch != "*" {
			version = have.Version
		}
	}
	if err == nil {
		err = p.Body.Check()
	}
	if err == nil {
		have, who, err = c.Governor.SetNoticeSetting(ctx, c.Caller, p.Principal, p.Body, version)
	}
	return c.noticeSettings(have, who, p.Principal, err)
}

func (c *Call) noticeSettings(set store.NoticeSetting, who store.Principal, asked string, err error) (client.PersonalNotices, error) {
	if tenure.CodeOf(err) == tenure.NotFound {
		if asked != "" {
			err = unknown("principal", asked)
		} else {
			err = tenure.Errorf(tenure.Forbidden, "there is no principal %s, and so nobody to write to", c.By()).WithHint("tenure principal add %s", c.By())
		}
	}
	if err != nil {
		return client.PersonalNotices{}, err
	}
	c.Version(set.Version)
	return client.PersonalNotices{Principal: who.Name, NoticeSettings: set.NoticeSettings, SetBy: set.SetBy, SetAt: set.SetAt, Version: set.Version}, nil
}
