package governance

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// NoticeSetting is how a person wants mail: the caller, or for who reads access somebody else.
func (g *Governor) NoticeSetting(ctx context.Context, c tenure.Caller, who string) (store.NoticeSetting, store.Principal, error) {
	p, err := g.noticeReader(ctx, c, who, tenure.AccessRead)
	if err != nil {
		return store.NoticeSetting{}, p, err
	}
	set, err := g.o.DB.NoticeSetting(ctx, p.ID)
	return set, p, err
}

// SetNoticeSetting says how a person wants mail: their own word, or of who manages access. What is
// held back for them is looked at again. A version of 0 isn't compared.
func (g *Governor) SetNoticeSetting(ctx context.Context, c tenure.Caller, who string, s tenure.NoticeSettings, version int64) (store.NoticeSetting, store.Principal, error) {
	p, err := g.noticeReader(ctx, c, who, tenure.AccessManage)
	if err != nil {
		return store.NoticeSetting{}, p, err
	}
	if len(c.Only) > 0 { // whoever finds it mustn't keep its owner from hearing of that
		return store.NoticeSetting{}, p, tenure.Errorf(tenure.Forbidden, "a token that is for some things alone sets no notices")
	}
	whose := "another's"
	if ownNotices(c, p) {
		whose = "own"
	}
	e, err := g.o.Entry(ctx, "notice.settings", c.Name, "", "", string(p.ID), map[string]string{"whose": whose})
	if err != nil {
		return store.NoticeSetting{}, p, err
	}
	var set store.NoticeSetting
	err = g.o.DB.Write(ctx, func(tx *store.Tx) error {
		have, err := tx.NoticeSetting(p.ID)
		if err != nil {
			return err
		}
		if version != 0 && version != have.Version {
			return tenure.Errorf(tenure.Conflict, "the notice settings have changed since they were read").WithHint("read them again")
		}
		set = store.NoticeSetting{NoticeSettings: s, Principal: p.ID, SetBy: c.Name, SetAt: g.Now(), Version: have.Version}
		if err := tx.SaveNoticeSetting(set); err != nil {
			return err
		}
		set.Version++
		if err := tx.FreeDeliveries(p.ID); err != nil {
			return err
		}
		return tx.Log(e)
	})
	return set, p, err
}

// noticeReader finds the person whose settings are meant; "" is the caller. Those of others take a permission.
func (g *Governor) noticeReader(ctx context.Context, c tenure.Caller, who string, takes tenure.Permission) (store.Principal, error) {
	own := who == "" || who == string(c.Principal) || tenure.SamePerson(who, c.Name)
	if own {
		who = c.Name
	} else if err := g.Require(ctx, c, takes, tenure.Target{}); err != nil {
		return store.Principal{}, err
	}
	if who == "" {
		return store.Principal{}, tenure.Errorf(tenure.Unauthorized, "nobody is named as the one who asks").WithHint("say who you are: --as NAME")
	}
	p, err := g.o.DB.Principal(ctx, who)
	if err != nil {
		return p, err
	}
	if p.Kind != tenure.CallerPerson {
		return p, tenure.Errorf(tenure.Invalid, "%s is a machine, and gets no mail", p.Name)
	}
	return p, nil
}

func ownNotices(c tenure.Caller, p store.Principal) bool { return tenure.SamePerson(c.Name, p.Name) }
