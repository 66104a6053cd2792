package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// escalation is who is told that a gate waits for too long, and why them. Nobody is
// told if to is empty; then why says what is in the way.
type escalation struct {
	to  []string // recipients of notices: role:…, group:…, person:…
	why string
}

// escalate says who stands above those who were reminded: the persons of the gate's
// role or group, without those whom the reminder went to, who requested it, and who
// can't sign in.
func (s *Service) escalate(tx *store.Tx, op store.OperationRow, w store.ApprovalWait, now time.Time) (escalation, error) {
	e := w.Gate.Escalate
	t, err := tx.Tenant(string(op.Tenant))
	if err != nil {
		return escalation{}, err
	}
	roles, err := reminded(tx, w)
	if err != nil {
		return escalation{}, err
	}
	seen := []string{op.RequestedBy}
	var asked []string
	for _, r := range roles {
		held, err := holders(tx, r, targetOf(t), now)
		if err != nil {
			return escalation{}, err
		}
		seen = append(seen, held...)
		asked = append(asked, "role "+string(r))
	}
	above, recipient := []string(nil), e.Recipient()
	if e.Group != "" {
		above, err = tx.ActivePersons(s.o.Groups[e.Group])
	} else {
		above, err = holders(tx, e.Role, targetOf(t), now)
	}
	if err != nil {
		return escalation{}, err
	}
	why := "nobody answered within " + e.After.String()
	if len(asked) > 0 {
		why += ", though " + strings.Join(asked, ", ") + " was reminded at " + w.RemindedAt.Format("2006-01-02 15:04 MST")
	}
	others := slices.DeleteFunc(slices.Clone(above), func(name string) bool { return tenure.NamesPerson(seen, name) })
	switch {
	case len(above) == 0:
		return escalation{why: fmt.Sprintf("%s, and nobody stands above: %s has no person who can sign in", why, e)}, nil
	case len(others) == 0:
		return escalation{why: fmt.Sprintf("%s, and nobody stands above: all of %s were reminded already, or requested it", why, e)}, nil
	case len(others) == len(above):
		return escalation{to: []string{recipient}, why: why}, nil
	}
	out := escalation{why: why}
	for _, name := range others {
		out.to = append(out.to, "person:"+name)
	}
	return out, nil
}

// reminded are the roles that the reminder of a gate went to.
func reminded(tx *store.Tx, w store.ApprovalWait) (out []tenure.Role, err error) {
	if w.RemindedAt.IsZero() {
		return nil, nil
	}
	list, err := tx.NoticesFor(waitNotice(w, "reminder", ""))
	for _, n := range list {
		if r, ok := strings.CutPrefix(n, "role:"); ok {
			out = append(out, tenure.Role(r))
		}
	}
	return out, err
}

// waitNotice is the id of a notice about a gate: one for each time that it begins to
// wait, each word and each recipient.
func waitNotice(w store.ApprovalWait, word, to string) string {
	return fmt.Sprintf("%s/%s/%d/%s/%s", w.Operation, w.Step, w.Since.Unix(), word, to)
}

// holders are the persons who have a role over a tenant at now, by name.
func holders(tx *store.Tx, r tenure.Role, t tenure.Target, now time.Time) (out []string, err error) {
	list, err := tx.RoleHolders(r, now)
	for _, h := range list {
		if h.Scope.Covers(t) && !slices.Contains(out, h.Name) {
			out = append(out, h.Name)
		}
	}
	return out, err
}
