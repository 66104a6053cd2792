package tenure

import (
	"slices"
	"time"
)

const (
	maxCustodians = 100
	maxRemindDays = 365
)

// CheckCustodians is Invalid if the hold's custodians can't be: one without a name, one
// named twice, or reminders for nobody.
func (h Hold) CheckCustodians() error {
	var names []string
	for _, c := range h.Custodians {
		if _, err := NeedLine("a custodian's name", c.Name, MaxTitle); err != nil {
			return err
		}
		switch {
		case NamesPerson(names, c.Name):
			return Errorf(Invalid, "custodian %q is named twice", c.Name)
		}
		names = append(names, c.Name)
	}
	switch {
	case len(names) > maxCustodians:
		return Errorf(Invalid, "a hold has at most %d custodians, not %d", maxCustodians, len(names))
	case h.RemindDays < 0 || h.RemindDays > maxRemindDays:
		return Errorf(Invalid, "custodians are reminded after 1 to %d days, not %d", maxRemindDays, h.RemindDays)
	case h.RemindDays > 0 && len(names) == 0:
		return Errorf(Invalid, "reminders need custodians").WithHint("name them: --custodian")
	}
	return nil
}

// Acknowledge records that a custodian knows of the hold. From anybody else, and twice, it
// is Conflict, and so is a hold that was released.
func (h Hold) Acknowledge(by string, at time.Time) (Hold, error) {
	if !h.Active() {
		return h, Errorf(Conflict, "hold %s was released at %s", h.ID, h.ReleasedAt.Format(time.RFC3339))
	}
	h.Custodians = slices.Clone(h.Custodians)
	for i := range h.Custodians {
		c := &h.Custodians[i]
		switch {
		case !SamePerson(c.Name, by):
		case !c.AcknowledgedAt.IsZero():
			return h, Errorf(Conflict, "%s has acknowledged hold %s already", by, h.ID)
		default:
			c.AcknowledgedAt = at
			return h, nil
		}
	}
	return h, Errorf(Conflict, "%s isn't a custodian of hold %s", by, h.ID)
}

// Unacknowledged names the custodians who haven't acknowledged the hold.
func (h Hold) Unacknowledged() (out []string) {
	for _, c := range h.Custodians {
		if c.AcknowledgedAt.IsZero() {
			out = append(out, c.Name)
		}
	}
	return out
}

// RemindsAt is when the custodians who haven't acknowledged the hold are to be reminded
// next; zero for never.
func (h Hold) RemindsAt() time.Time {
	if !h.Active() || h.RemindDays < 1 || len(h.Unacknowledged()) == 0 {
		return time.Time{}
	}
	from := h.PlacedAt
	if h.RemindedAt.After(from) {
		from = h.RemindedAt
	}
	return from.AddDate(0, 0, h.RemindDays)
}
