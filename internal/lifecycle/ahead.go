package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Notices ahead of dates.
const (
	maxAhead   = 60 * 24 * time.Hour // how long before a date a notice may be: notices are kept for longer, so that none comes twice
	aheadEvery = time.Minute         // how often a process looks
	aheadBatch = 500
)

// Ahead is how long before a date notices go out, where nothing else is set.
func Ahead() []tenure.Period {
	week, _ := tenure.ParsePeriod("P7D")
	day, _ := tenure.ParsePeriod("P1D")
	return []tenure.Period{week, day}
}

// CheckAhead refuses periods before dates that aren't between nothing and 60 days, as Invalid.
func CheckAhead(list []tenure.Period) error {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, p := range list {
		if at := p.After(from); p.IsZero() || !at.After(from) || at.After(from.Add(maxAhead)) {
			return tenure.Errorf(tenure.Invalid, "%s isn't a time ahead of a date: between a second and 60 days", cmp.Or(p.String(), "nothing")).WithHint("write it like P7D or PT12H")
		}
	}
	if len(list) > 10 {
		return tenure.Errorf(tenure.Invalid, "notices ahead of a date are ten at most")
	}
	return nil
}

// dateAhead is a date of a tenant's life that comes near.
type dateAhead struct {
	tenant    store.TenantRow
	operation tenure.OperationID
	what      string // names the date in ids: the same date is told once
	at        time.Time
	says      string
	to        []string
}

// TickAhead tells of dates some time before each: the end of a tenant's grace, of the time in which it can
// fetch its export, of retention and of quarantine, of its contract, and of a finding's waiver. Each is told
// once for each period of the settings, by however many processes, and anew with its new date if it moves. Of
// several periods that have begun only the shortest is told, and of a date that has passed none.
func (s *Service) TickAhead(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	early := now.Sub(s.aheadAt) < aheadEvery && !now.Before(s.aheadAt)
	if !early {
		s.aheadAt = now
	}
	s.mu.Unlock()
	periods := s.o.Ahead
	if periods == nil {
		periods = Ahead()
	}
	if early || len(periods) == 0 {
		return nil
	}
	until := now
	for _, p := range periods {
		if at := p.After(now); at.After(until) {
			until = at
		}
	}
	var dates []dateAhead
	var errs error // what is wrong with one keeps no other from being told
	for _, find := range []func(context.Context, time.Time, time.Time) ([]dateAhead, error){s.comingGates, s.comingContracts, s.comingWaivers} {
		list, err := find(ctx, now, until)
		dates, errs = append(dates, list...), errors.Join(errs, err)
	}
	for _, d := range dates {
		errs = errors.Join(errs, s.tellAhead(ctx, d, periods, now))
	}
	return errs
}

// tellAhead tells of a date, unless that was done.
func (s *Service) tellAhead(ctx context.Context, d dateAhead, periods []tenure.Period, now time.Time) error {
	var begun tenure.Period
	for _, p := range periods {
		if d.at.After(now) && !p.After(now).Before(d.at) && (begun.IsZero() || p.After(now).Before(begun.After(now))) {
			begun = p
		}
	}
	if begun.IsZero() {
		return nil
	}
	id := func(to string) string {
		return fmt.Sprintf("ahead/%s/%s/%s/%s/%s", cmp.Or(string(d.operation), string(d.tenant.ID)), d.what, d.at.UTC().Format(time.RFC3339), begun, to)
	}
	told, err := s.o.DB.Noticed(ctx, id(d.to[0]))
	if err != nil || told {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, to := range d.to {
			n := store.Notice{ID: id(to), Kind: tenure.NoticeDateAhead, Tenant: d.tenant.ID, Operation: d.operation, Recipient: to, CreatedAt: now, AheadOf: d.at, Body: d.says}
			if err := tx.AddNotice(n); err != nil {
				return err
			}
		}
		return nil
	})
}

// comingGates are the dates that departures wait for.
func (s *Service) comingGates(ctx context.Context, now, until time.Time) (out []dateAhead, err error) {
	ops, err := s.o.DB.DatedDepartures(ctx, now, until, aheadBatch)
	if err != nil || len(ops) == 0 {
		return nil, err
	}
	holds, err := s.o.DB.Holds(ctx, "", false)
	if err != nil {
		return nil, err
	}
	for _, op := range ops {
		t, tenantErr := s.o.DB.Tenant(ctx, string(op.Tenant))
		p, planErr := s.o.DB.Plan(ctx, op.Plan)
		rows, rowsErr := s.o.DB.Steps(ctx, op.ID)
		if one := errors.Join(tenantErr, planErr, rowsErr); one != nil {
			err = errors.Join(err, one)
			continue
		}
		out = append(out, gateDates(t, op, p, rows, holds, now)...)
	}
	return out, err
}

// gateDates are the dates that an operation waits for at now. Gates that open at one moment are one date.
func gateDates(t store.TenantRow, op store.OperationRow, p *tenure.Plan, rows []store.StepRow, holds []tenure.Hold, now time.Time) (out []dateAhead) {
	ended := endedSteps(p, rows)
	type group struct {
		what string
		at   time.Time
	}
	whose := make(map[group][]string) // data classes
	var order []group
	for i := range min(len(rows), len(p.Steps)) {
		st := &p.Steps[i]
		waits := rows[i].State == tenure.StepPending && !slices.ContainsFunc(st.Needs, func(k string) bool { _, did := ended[k]; return !did })
		what := aheadOf(st)
		if !waits || what == "" {
			continue
		}
		g := group{what: what}
		switch st.Action {
		case tenure.ActDate:
			if what == "quarantine" && len(p.Keeping(holds, st)) > 0 {
				continue
			}
			from, did := ended[st.Gate.After]
			if !did || from.IsZero() {
				from = op.CreatedAt
			}
			g.at = st.Gate.Period.After(from)
		case tenure.ActRetention:
			class, is := p.Retention(st)
			if !is {
				continue
			}
			c := tenure.SolveRetention(class, t.Anchors, p.Keeping(holds, st), p.Destroys(st)[0], now)
			if c.State != tenure.ClockKeep {
				continue
			}
			g.at = c.KeepUntil
		}
		g.at = g.at.Truncate(time.Minute) // steps of one moment end one after the other
		if !slices.Contains(order, g) {
			order = append(order, g)
		}
		if st.Class != "" && !slices.Contains(whose[g], st.Class) {
			whose[g] = append(whose[g], st.Class)
		}
	}
	for _, g := range order {
		out = append(out, dateAhead{tenant: t, operation: op.ID, what: g.what, at: g.at, says: aheadSays(t, g.what, g.at, whose[g]), to: []string{"platform", tenure.Timeline}})
	}
	return out
}

// aheadOf names the date that a gate waits for; "" for one that nobody waits for.
func aheadOf(st *tenure.Step) string {
	switch {
	case st.Action == tenure.ActRetention && st.To != "" && st.To != tenure.AtEnd:
		return "" // of a key
	case st.Action == tenure.ActRetention:
		return "retention"
	case st.Action != tenure.ActDate || st.Gate == nil:
		return ""
	case st.Stage == tenure.StageGrace:
		return "grace"
	case st.Stage == tenure.StageHandover:
		return "retrieval"
	case st.Stage == tenure.StageQuaran:
		return "quarantine"
	}
	return ""
}

// aheadSays are a date's words: what happens then, and how it is stopped until then.
func aheadSays(t store.TenantRow, what string, at time.Time, classes []string) string {
	date, of := at.UTC().Format("2006-01-02 15:04 MST"), ""
	if len(classes) > 0 {
		of = " of " + strings.Join(classes, ", ")
	}
	back := ""
	if slices.Contains(tenure.OperationKinds[tenure.Reinstate], t.State) {
		back = " Until two persons confirm that, it can be stopped: tenure tenant reinstate " + t.Name + ", or tenure hold place."
	}
	switch what {
	case "grace":
		return t.Name + " loses its access at " + date + ", when its grace ends. Until then it can be stopped: tenure tenant reinstate " + t.Name + "."
	case "retrieval":
		return "The time in which " + t.Name + " can fetch its export ends at " + date + "."
	case "retention":
		return "The retention" + of + " of " + t.Name + " ends at " + date + ". From then on its point of no return can be confirmed, and what is erased doesn't come back." + back
	}
	return "The quarantine" + of + " of " + t.Name + " ends at " + date + ". From then on its point of no return can be confirmed, and what is erased doesn't come back." + back
}

// comingContracts are the ends of contracts that events have told of.
func (s *Service) comingContracts(ctx context.Context, now, until time.Time) (out []dateAhead, err error) {
	list, err := s.o.DB.EndingContracts(ctx, until)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		if !c.ContractEnd.After(now) || !c.EndedAt.IsZero() {
			continue
		}
		t, err := s.o.DB.Tenant(ctx, string(c.Tenant))
		if err != nil {
			return nil, err
		}
		if t.State != tenure.TenantActive && t.State != tenure.TenantSuspended {
			continue
		}
		out = append(out, dateAhead{tenant: t, what: "contract", at: c.ContractEnd, to: []string{"platform", tenure.Timeline}, says: "The contract of " + t.Name + " ends at " + c.ContractEnd.UTC().Format("2006-01-02 15:04 MST") + "."})
	}
	return out, nil
}

// comingWaivers are the ends of waivers of tenants' findings, after which these stand open again.
func (s *Service) comingWaivers(ctx context.Context, now, until time.Time) (out []dateAhead, err error) {
	list, err := s.o.DB.EndingWaivers(ctx, now, until, aheadBatch)
	if err != nil {
		return nil, err
	}
	for _, f := range list {
		t, err := s.o.DB.Tenant(ctx, string(f.Tenant))
		if err != nil {
			return nil, err
		}
		out = append(out, dateAhead{tenant: t, what: string(f.ID), at: f.WaivedUntil, to: []string{"person:" + f.WaivedBy, "platform"},
			says: fmt.Sprintf("The waiver of finding %s (%s) at %s ends at %s. If it isn't settled by then, it stands open again.", f.ID, f.Kind, t.Name, f.WaivedUntil.UTC().Format("2006-01-02 15:04 MST"))})
	}
	return out, nil
}
