package notify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// contact is the recipient that is a tenant's own person.
const contact = "contact"

// trial is the kind of a notice that tells of nothing.
const trial tenure.NoticeKind = "try"

// route shares out the notices that are new among the targets.
func (n *Notifier) route(ctx context.Context, now time.Time) error {
	for ctx.Err() == nil {
		list, err := n.o.DB.Unrouted(ctx, now.Add(-giveUp), batch)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, notice := range list {
			mine := false
			err := n.o.DB.Write(ctx, func(tx *store.Tx) error {
				to, err := n.deliveries(tx, notice, now)
				if err == nil {
					mine, err = tx.RouteNotice(notice, to, now)
				}
				return err
			})
			if err != nil {
				return err
			}
			if mine && n.o.Say {
				n.o.Log.Info("notice", "id", notice.ID, "kind", notice.Kind, "tenant", cmp.Or(notice.Tenant, notice.About), "operation", notice.Operation, "recipient", notice.Recipient, "text", notice.Body)
			}
		}
	}
	return nil
}

// deliveries are what one notice becomes.
func (n *Notifier) deliveries(tx *store.Tx, notice store.Notice, now time.Time) (out []store.Delivery, err error) {
	for _, t := range n.targets {
		if !t.takes(notice) || notice.Kind == tenure.NoticeTargetDisabled && strings.HasPrefix(notice.ID, disabledID(t.Name)) {
			continue
		}
		to := []reader{{}}
		if t.mail != nil {
			if to, err = n.readers(tx, t.mail, notice, now); err != nil {
				return nil, err
			}
			if len(to) == 0 && notice.Recipient != tenure.Timeline {
				out = append(out, store.Delivery{ID: deliveryID(notice.ID, t.Name, ""), Target: t.Name, Error: "no mail address is known of " + notice.Recipient})
			}
		}
		// Where nobody wants to be reminded of an approval, everybody is: somebody has to be.
		nobody := !slices.ContainsFunc(to, func(r reader) bool { return r.wants(notice.Kind, false) })
		for _, r := range to {
			d := store.Delivery{ID: deliveryID(notice.ID, t.Name, r.address), Target: t.Name, Address: r.address, Person: r.person}
			if !r.wants(notice.Kind, nobody) {
				d.State, d.Error = store.DeliveryUnwanted, "the settings of "+r.name+" don't want "+string(notice.Kind)
				out = append(out, d)
				continue
			}
			if t.Acknowledge > 0 && notice.Kind != tenure.NoticeDateAhead { // there is nothing to do yet
				d.DueAt = now.Add(t.Acknowledge)
			}
			out = append(out, d)
		}
	}
	return out, nil
}

// disabledID begins the ids of the notices that a target is given up, of which itself needn't hear.
func disabledID(target string) string { return "target/" + target + "/" }

// Try puts a notice that tells of nothing on its way to one target; by mail it goes to who asks.
// An unknown target is NotFound, somebody without an address Blocked.
func (n *Notifier) Try(ctx context.Context, name, by string, now time.Time) (out store.Delivery, err error) {
	i := slices.IndexFunc(n.targets, func(t *target) bool { return t.Name == name })
	if i < 0 {
		return out, tenure.Errorf(tenure.NotFound, "there is no target %q", name)
	}
	notice := store.Notice{ID: "try/" + name + "/" + now.UTC().Format(time.RFC3339Nano), Kind: trial, Recipient: "person:" + by, CreatedAt: now, Body: "This is a trial: notices of Tenure arrive here."}
	err = n.o.DB.Write(ctx, func(tx *store.Tx) error {
		address := ""
		if m := n.targets[i].mail; m != nil {
			all, err := n.readers(tx, m, notice, now)
			if err != nil {
				return err
			}
			if len(all) == 0 {
				return tenure.Errorf(tenure.Blocked, "%s has no mail address", by).WithHint("tenure principal change %s --email ADDRESS", by)
			}
			address = all[0].address
		}
		if err := tx.AddNotice(notice); err != nil {
			return err
		}
		out = store.Delivery{ID: deliveryID(notice.ID, name, address), Target: name, Address: address}
		if _, err := tx.RouteNotice(notice, []store.Delivery{out}, now); err != nil {
			return err
		}
		out, err = tx.Delivery(out.ID)
		return err
	})
	return out, err
}

// AddressOf is the mail address that a delivery goes to; "" where it isn't mail.
func AddressOf(d store.Delivery) string {
	address, _, _ := addressee(d.Address)
	return address
}

// deliveryID is the same for the same notice to the same address, and says nothing of either.
func deliveryID(notice, target, address string) string {
	sum := sha256.Sum256([]byte(notice + "\x00" + target + "\x00" + address))
	return "msg_" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:20]))
}

// reader is one mail address of a notice's recipient.
type reader struct {
	address  string             // with the language of its mail behind it
	person   tenure.PrincipalID // whose it is; "" where it is nobody's who has settings
	name     string
	settings tenure.NoticeSettings
}

// wants says whether somebody is to get a notice of a kind, of which nobody else wants to hear where last says so.
func (r reader) wants(k tenure.NoticeKind, last bool) bool {
	return r.person == "" || r.settings.Wants(k, last)
}

// readers are who reads mail of a notice's recipient. None are known of many: a tenant may have no
// contact, a person no address.
func (n *Notifier) readers(tx *store.Tx, m *mailer, notice store.Notice, now time.Time) (out []reader, err error) {
	var tenant store.TenantRow
	if notice.Tenant != "" {
		if tenant, err = tx.Tenant(string(notice.Tenant)); err != nil && tenure.CodeOf(err) != tenure.NotFound {
			return nil, err
		}
	}
	add := func(address, tag string, r reader) {
		a, err := mail.ParseAddress(address)
		if err != nil {
			return
		}
		r.address = a.Address + " " + cmp.Or(tag, n.o.Language, "en")
		same := slices.IndexFunc(out, func(o reader) bool { return strings.HasPrefix(o.address, a.Address+" ") })
		switch {
		case same < 0:
			out = append(out, r)
		case !out[same].wants(notice.Kind, false): // of two who share an address it is for the one who wants it
			out[same] = r
		}
	}
	for _, address := range m.also[notice.Recipient] {
		add(address, "", reader{})
	}
	names, err := n.persons(tx, notice.Recipient, tenant, now)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		p, err := tx.Principal(name)
		switch {
		case tenure.CodeOf(err) == tenure.NotFound:
		case err != nil:
			return nil, err
		case p.Kind == tenure.CallerPerson && !p.Disabled:
			set, err := tx.NoticeSetting(p.ID)
			if err != nil {
				return nil, err
			}
			add(p.Email, set.Language, reader{person: p.ID, name: p.Name, settings: set.NoticeSettings})
		}
	}
	switch tag := cmp.Or(notice.Language, tenant.Labels["language"]); { // the mail is in the language of its text, where that is known
	case notice.Recipient == contact:
		add(tenant.Contact, tag, reader{})
	case strings.Contains(notice.Recipient, "@"):
		add(notice.Recipient, tag, reader{})
	}
	return out, nil
}

// addressee takes an address of a delivery apart.
func addressee(from string) (address, tag string, is bool) { return strings.Cut(from, " ") }

// persons are who a recipient is among the principals: one by name, the holders of a role over the
// tenant, a group of the settings. The platform's are its operators, and security's its
// security officers, unless there are groups of these names.
func (n *Notifier) persons(tx *store.Tx, recipient string, of store.TenantRow, now time.Time) (out []string, err error) {
	what, name, _ := strings.Cut(recipient, ":")
	role := tenure.Role("")
	switch {
	case what == "person" && name != "":
		return []string{name}, nil
	case what == "role" && name != "":
		role = tenure.Role(name)
	case what == "group" && name != "":
		return n.o.Groups[name], nil
	case recipient == contact || recipient == tenure.Timeline || strings.Contains(recipient, "@"):
		return nil, nil
	case n.o.Groups[recipient] != nil:
		return n.o.Groups[recipient], nil
	case recipient == "platform":
		role = tenure.Operator
	case recipient == "security":
		role = tenure.SecurityOfficer
	default: // who asked for an operation
		return []string{recipient}, nil
	}
	held, err := tx.RoleHolders(role, now)
	for _, h := range held {
		if of.ID == "" && h.Scope.All || of.ID != "" && h.Scope.Covers(tenure.Target{Tenant: of.ID, Tier: of.Tier, Labels: of.Labels}) {
			out = append(out, h.Name)
		}
	}
	return out, err
}

// acknowledged is how a receiver says in its answer that it has done what it was told; "" if it
// doesn't, or needn't.
func acknowledged(answer []byte, d store.Delivery) string {
	var said struct {
		Acknowledged bool `json:"acknowledged"`
	}
	if d.DueAt.IsZero() || json.Unmarshal(answer, &said) != nil || !said.Acknowledged {
		return ""
	}
	return "done"
}
