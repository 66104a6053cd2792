package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// ReportIncident notes trouble of a tenant's that another system saw. The same id
// again changes nothing.
func (s *Service) ReportIncident(ctx context.Context, tenantName string, i store.Incident, by string) (store.Incident, error) {
	if err := person(by); err != nil {
		return i, err
	}
	for _, f := range []struct {
		what string
		text *string
		read func(what, text string, most int) (string, error)
		most int
	}{
		{"the reporting system's own id of an incident", &i.ID, tenure.NeedLine, tenure.MaxTitle},
		{"an incident's source", &i.Source, tenure.Line, 100},
		{"an incident's detail", &i.Detail, tenure.Lines, 2000},
	} {
		var err error
		if *f.text, err = f.read(f.what, *f.text, f.most); err != nil {
			return i, err
		}
	}
	switch {
	case i.Severity != tenure.Critical && i.Severity != tenure.High && i.Severity != tenure.Medium && i.Severity != tenure.Low:
		return i, tenure.Errorf(tenure.Invalid, "there is no severity %q", i.Severity).WithHint("critical, high, medium or low")
	}
	now := s.Now()
	if i.At.IsZero() || i.At.After(now) {
		i.At = now
	}
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		t, err := tx.Tenant(tenantName)
		if err != nil {
			return err
		}
		i.Tenant = t.ID
		i.ID = string(t.ID) + "/" + strings.TrimPrefix(i.ID, string(t.ID)+"/")
		added, err := tx.AddIncident(i)
		if err != nil || !added {
			return err
		}
		e, err := s.entry(ctx, "incident.report", by, t.ID, "", string(t.ID)+"/"+s.pseudonym(i.ID), map[string]string{"severity": string(i.Severity)})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	return i, err
}

// incidentsEvery is how often revisions are looked at whose tenants had incidents.
const incidentsEvery = time.Minute

// TickIncidents makes a finding of each revision by which tenants moved in within the last 90
// days of whom tenure.RevisionTrouble or more had an incident within 30 days, and resolves it
// when they are fewer. Which revision counts is the one that the onboarding ran, whatever the tenant
// has been moved to since.
func (s *Service) TickIncidents(ctx context.Context, now time.Time) error {
	if now.Sub(s.troubled) < incidentsEvery && !now.Before(s.troubled) {
		return nil
	}
	found, err := s.troubledRevisions(ctx, now)
	if err != nil {
		return err
	}
	open, err := s.o.DB.FindingsPage(ctx, store.FindingFilter{Kind: tenure.FindingRevision, Limit: maxFindings})
	if err != nil {
		return err
	}
	s.troubled = now
	var fresh, over []tenure.Finding
	for name, f := range found {
		if !slices.ContainsFunc(open, func(o tenure.Finding) bool { return o.Name == name && o.Detail == f.Detail }) {
			fresh = append(fresh, f)
		}
	}
	for _, o := range open {
		if _, still := found[o.Name]; !still {
			over = append(over, o)
		}
	}
	if len(fresh)+len(over) == 0 {
		return nil
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, f := range over {
			if err := tx.ResolveFinding(f, now); err != nil {
				return err
			}
		}
		return saveFindings(tx, fresh)
	})
}

// troubledRevisions is the findings at revisions, by their names.
func (s *Service) troubledRevisions(ctx context.Context, now time.Time) (map[string]tenure.Finding, error) {
	runs, err := s.o.DB.TroubledOnboardings(ctx, now.Add(-onboardingWindow))
	if err != nil || len(runs) < tenure.RevisionTrouble {
		return nil, err
	}
	by := make(map[tenure.BlueprintRef][]string)
	for _, r := range runs {
		p, err := s.o.DB.Plan(ctx, r.Plan)
		switch {
		case tenure.CodeOf(err) == tenure.NotFound: // of a tenant that has closed, and was forgotten
			continue
		case err != nil:
			return nil, err
		}
		by[p.Blueprint] = append(by[p.Blueprint], string(r.Tenant))
	}
	out := make(map[string]tenure.Finding)
	for ref, tenants := range by {
		if len(tenants) < tenure.RevisionTrouble {
			continue
		}
		const named = 10
		who := strings.Join(tenants[:min(len(tenants), named)], ", ")
		if n := len(tenants) - named; n > 0 {
			who += fmt.Sprintf(" and %d more", n)
		}
		name := ref.Name + " " + ref.Version
		out[name] = tenure.Finding{
			ID: tenure.NewID[tenure.FindingID](now), Kind: tenure.FindingRevision, Severity: tenure.High, Type: "blueprint", Name: name, Field: "incidents", SeenAt: now,
			Want: fmt.Sprintf("fewer than %d tenants with an incident within 30 days", tenure.RevisionTrouble), Got: fmt.Sprint(len(tenants)),
			Detail: fmt.Sprintf("%d tenants that moved in by %s within the last 90 days had an incident within 30 days: %s", len(tenants), name, who),
			Steps:  []string{"read what happened on the tenants' pages, under incidents", "publish a revision that mends the cause, and upgrade who has this one", "until then onboard nobody by it"},
		}
	}
	return out, nil
}

// TickBlocks keeps what is blocked as incidents, so that the fleet's figures know
// of it when it has long been mended. An idle installation writes nothing.
func (s *Service) TickBlocks(ctx context.Context, _ time.Time) error {
	some, err := s.o.DB.Unnoted(ctx)
	if err != nil || !some {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.NoteBlocks()
		return err
	})
}
