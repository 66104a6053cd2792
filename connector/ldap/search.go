package ldap

import (
	"context"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
)

// enough ends a search whose caller has an error of its own.
type enough struct{ err error }

func (e enough) Error() string { return "enough" }

// wanted are the attributes that are read of an entry of a type.
func (d *Driver) wanted(types ...string) []string {
	out := []string{"objectClass", "entryUUID", d.mark}
	for _, typ := range types {
		switch typ {
		case group:
			out = append(out, "member")
		case user:
			for _, of := range plainNames {
				out = append(out, of)
			}
			if d.lockName != "" {
				out = append(out, d.lockName)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// entry reads one entry. One that isn't there is nil.
func (d *Driver) entry(ctx context.Context, at string, attributes []string) (e *ldap.Entry, err error) {
	err = d.pool.read(ctx, func(c *connection) error {
		got, err := c.Search(ldap.NewSearchRequest(at, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", attributes, nil))
		if err == nil && len(got.Entries) == 1 {
			e = got.Entries[0]
		}
		if err == nil && len(got.Referrals) > 0 {
			err = ldap.NewError(ldap.LDAPResultReferral, errReferral)
		}
		return err
	})
	if missing(err) || is(err, ldap.LDAPResultInvalidDNSyntax) {
		return nil, nil
	}
	return e, err
}

// search gives each entry below a DN, itself included, page by page to the end (RFC 2696).
// It isn't whole if a limit, a right that is missing or another server cut it short. Where
// the DN isn't there, there is nothing.
func (d *Driver) search(ctx context.Context, below, filter string, attributes []string, each func(*ldap.Entry) error) (whole bool, err error) {
	whole = true
	begun := false
	err = d.pool.on(ctx, func(c *connection) (bool, error) {
		pages, done := make(chan []*ldap.Entry, ahead), make(chan struct{})
		paging := ldap.NewControlPaging(d.page)
		var failed error
		go func() {
			defer close(pages)
			failed = d.fetch(ctx, c, below, filter, attributes, paging, &whole, func(entries []*ldap.Entry) bool {
				select {
				case pages <- entries:
					return true
				case <-done:
					return false
				}
			})
		}()
		var own error
		for entries := range pages {
			begun = true
			for _, e := range entries {
				if own == nil {
					own = each(e)
				}
			}
			if own != nil {
				break
			}
		}
		close(done)
		for range pages { // until nothing is fetched any more
		}
		if own != nil {
			d.leave(ctx, c, below, filter, paging)
			return true, enough{own}
		}
		return begun || failed == nil, failed
	})
	if e, ok := err.(enough); ok {
		return false, e.err
	}
	switch {
	case missing(err):
		return whole, nil
	case unseen(err):
		return false, nil
	}
	return whole, err
}

// ahead is how many pages are fetched while an earlier one is being read.
const ahead = 2

// fetch gives the entries of each page until there are no more, or nobody takes them.
func (d *Driver) fetch(ctx context.Context, c *connection, below, filter string, attributes []string, paging *ldap.ControlPaging, whole *bool, give func([]*ldap.Entry) bool) error {
	for {
		var got *ldap.SearchResult
		err := d.pool.during(ctx, c, func() (err error) {
			got, err = c.Search(ldap.NewSearchRequest(below, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, filter, attributes, []ldap.Control{paging}))
			return err
		})
		if broken(err) {
			return err
		}
		var cookie []byte
		if got != nil {
			if answer, ok := ldap.FindControl(got.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging); ok {
				cookie = answer.Cookie
			}
			paging.SetCookie(cookie)
			*whole = *whole && len(got.Referrals) == 0
			if !give(got.Entries) {
				return nil
			}
		}
		if err != nil || len(cookie) == 0 {
			return err
		}
	}
}

// leave tells the server that no more pages are asked for.
func (d *Driver) leave(ctx context.Context, c *connection, below, filter string, paging *ldap.ControlPaging) {
	if len(paging.Cookie) == 0 {
		return
	}
	paging.PagingSize = 0
	_ = d.pool.during(ctx, c, func() error {
		_, err := c.Search(ldap.NewSearchRequest(below, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, filter, nil, []ldap.Control{paging}))
		return err
	})
}

var errReferral = tenure.Errorf(tenure.Blocked, "the server sends elsewhere")

// anyOf is a filter (RFC 4515) that takes what one of the filters takes.
func anyOf(filters ...string) string {
	if len(filters) == 1 {
		return filters[0]
	}
	return "(|" + strings.Join(filters, "") + ")"
}

// equals is a filter that takes entries with a value.
func equals(attribute, value string) string {
	return "(" + attribute + "=" + ldap.EscapeFilter(value) + ")"
}

// only lets a change happen only while a filter takes the entry (RFC 4528), where the
// server can do that.
func (d *Driver) only(filter string) []ldap.Control {
	if !d.asserts.Load() {
		return nil
	}
	p, err := ldap.CompileFilter(filter)
	if err != nil {
		return nil
	}
	return []ldap.Control{ldap.NewControlString("1.3.6.1.1.12", true, string(p.Bytes()))}
}

// same is only for the entry that was read, and no other that has its DN by now.
func (d *Driver) same(e *ldap.Entry) []ldap.Control {
	return d.only(equals("entryUUID", value(e, "entryUUID")))
}

// remove deletes an entry. One that isn't there any more is no error.
func (d *Driver) remove(ctx context.Context, at string, controls []ldap.Control) (gone bool, err error) {
	err = d.pool.write(ctx, func(c *connection) error { return c.Del(ldap.NewDelRequest(at, controls)) })
	if missing(err) {
		return false, nil
	}
	return err == nil, err
}

// modify changes an entry.
func (d *Driver) modify(ctx context.Context, m *ldap.ModifyRequest) error {
	if len(m.Changes) == 0 {
		return nil
	}
	return d.pool.write(ctx, func(c *connection) error { return c.Modify(m) })
}
