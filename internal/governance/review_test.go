package governance_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// desk is a store with people in it and a clock that a test sets.
type desk struct {
	*governance.Governor
	t     *testing.T
	db    *store.DB
	clock atomic.Int64
	ids   map[string]tenure.PrincipalID
}

var everywhere = tenure.Scope{All: true}

// onDesks runs a test on both databases.
func onDesks(t *testing.T, test func(*testing.T, *desk)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newDesk(t, filepath.Join(t.TempDir(), "tenure.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newDesk(t, postgrestest.Database(t)))
	})
}

// newDesk has ann the admin, bob and cleo the security officers, dan the operator
// of tier team, and robot, a machine that dan answers for.
func newDesk(t *testing.T, dsn string) *desk {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d := &desk{t: t, db: db, ids: make(map[string]tenure.PrincipalID)}
	d.clock.Store(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixMicro())
	now := func() time.Time { return time.UnixMicro(d.clock.Load()).UTC() }
	d.Governor = governance.New(governance.Options{DB: db, Now: now, Entry: func(_ context.Context, kind, by string, tenant tenure.TenantID, op tenure.OperationID, subject string, facts map[string]string) (audit.Entry, error) {
		return audit.Entry{Format: audit.Format, At: now(), Kind: kind, Tenant: tenant, Operation: op, Subject: subject, Data: audit.Facts(facts)}, nil
	}})
	for _, p := range []struct {
		name  string
		role  tenure.Role
		scope tenure.Scope
	}{
		{"ann", tenure.Admin, everywhere}, {"bob", tenure.SecurityOfficer, everywhere}, {"cleo", tenure.SecurityOfficer, everywhere},
		{"dan", tenure.Operator, tenure.Scope{Tiers: []string{"team"}}}, {"robot", tenure.Viewer, everywhere},
	} {
		d.hire(p.name, p.role, p.scope)
	}
	return d
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) write(do func(*store.Tx) error) {
	d.t.Helper()
	d.must(d.db.Write(context.Background(), do))
}

func (d *desk) hire(name string, role tenure.Role, scope tenure.Scope) tenure.GrantID {
	d.t.Helper()
	p := store.Principal{ID: tenure.NewID[tenure.PrincipalID](d.Now()), Name: name, Kind: tenure.CallerPerson, CreatedBy: "setup", CreatedAt: d.Now()}
	if name == "robot" {
		p.Kind, p.Owner = tenure.CallerMachine, "dan"
	}
	d.ids[name] = p.ID
	g := tenure.Grant{ID: tenure.NewID[tenure.GrantID](d.Now()), Principal: p.ID, Role: role, Scope: scope, By: "setup", At: d.Now()}
	d.write(func(tx *store.Tx) error {
		if err := tx.SavePrincipal(p); err != nil {
			return err
		}
		return tx.SaveGrant(g)
	})
	return g.ID
}

// as is somebody as a caller with what they may do now.
func (d *desk) as(name string) tenure.Caller {
	d.t.Helper()
	return tenure.Caller{Principal: d.ids[name], Name: name, Kind: tenure.CallerPerson, Strong: true, Grants: d.grants(name)}
}

func (d *desk) grants(name string) []tenure.Grant {
	d.t.Helper()
	list, err := d.db.Grants(context.Background(), d.ids[name], false)
	d.must(err)
	return list
}

func (d *desk) pass(by time.Duration) { d.clock.Add(by.Microseconds()) }

// roles are the names of somebody's roles.
func (d *desk) roles(name string) string {
	var out []string
	for _, g := range d.grants(name) {
		out = append(out, string(g.Role))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (d *desk) campaign(silence tenure.ReviewDecision, reviewers ...string) tenure.Campaign {
	return tenure.Campaign{
		Name: "spring", Covers: []tenure.ReviewKind{tenure.ReviewGrant}, Scope: everywhere, Reviewers: reviewers, Silence: silence, DueAt: d.Now().AddDate(0, 0, 14),
	}
}

func (d *desk) started(c tenure.Campaign) (tenure.Campaign, map[string]tenure.ReviewItem) {
	d.t.Helper()
	c, err := d.StartCampaign(context.Background(), d.as("bob"), c)
	d.must(err)
	return c, d.items(c.ID)
}

// items are a campaign's items by who has them.
func (d *desk) items(id tenure.CampaignID) map[string]tenure.ReviewItem {
	d.t.Helper()
	list, err := d.ReviewItems(context.Background(), store.ItemFilter{Campaign: id, Grants: true, Visible: store.All, Limit: 100})
	d.must(err)
	out := make(map[string]tenure.ReviewItem)
	for _, it := range list {
		out[it.Holder] = it
	}
	return out
}

func (d *desk) decide(by string, id tenure.CampaignID, answers ...governance.Answer) error {
	_, err := d.DecideItems(context.Background(), d.as(by), id, answers)
	return err
}

// entries are the facts of the log's entries of a kind.
func (d *desk) entries(kind string) []map[string]string {
	d.t.Helper()
	var out []map[string]string
	for rec, err := range d.db.Entries(context.Background(), 0) {
		d.must(err)
		e, err := audit.Decode(rec.Entry)
		d.must(err)
		if e.Kind == kind {
			facts := make(map[string]string)
			d.must(json.Unmarshal(e.Data, &facts))
			out = append(out, facts)
		}
	}
	return out
}

func refused(t *testing.T, err error, code tenure.Code, word string) {
	t.Helper()
	if tenure.CodeOf(err) != code || !strings.Contains(err.Error(), word) {
		t.Errorf("got %v (%s), want %s that says %q", err, tenure.CodeOf(err), code, word)
	}
}

// Nobody is asked about their own access or that of a machine of theirs; where
// nobody else is named, the campaign doesn't start.
func TestCampaignGivesNobodyTheirOwn(t *testing.T) {
	onDesks(t, func(t *testing.T, d *desk) {
		_, err := d.StartCampaign(context.Background(), d.as("bob"), d.campaign(tenure.ReviewKeep, "bob"))
		refused(t, err, tenure.Invalid, "nobody is left")
		c, items := d.started(d.campaign(tenure.ReviewKeep, "bob", "cleo"))
		for holder, it := range items {
			if it.Reviewer == holder {
				t.Errorf("%s reviews their own access", holder)
			}
		}
		if len(items) != 5 || items["bob"].Reviewer != "cleo" || items["cleo"].Reviewer != "bob" {
			t.Errorf("the items are %+v", items)
		}
		refused(t, d.decide("bob", c.ID, governance.Answer{Item: items["bob"].Seq, Decision: tenure.ReviewKeep}), tenure.Forbidden, "concerns bob")
		// dan answers for the robot: as a reviewer he doesn't see it, and isn't given it.
		d.write(func(tx *store.Tx) error {
			return tx.SaveGrant(tenure.Grant{ID: tenure.NewID[tenure.GrantID](d.Now()), Principal: d.ids["dan"], Role: tenure.Viewer, Scope: everywhere, By: "setup", At: d.Now()})
		})
		_, items = d.started(d.campaign(tenure.ReviewKeep, "dan", "bob", "cleo"))
		if items["robot"].Reviewer == "dan" || items["dan"].Reviewer == "dan" {
			t.Errorf("dan reviews his own: %+v", items)
		}
	})
}

// A reviewer who sees only some tenants isn't shown grants that may name others.
func TestReviewerMustSeeWhatTheyReview(t *testing.T) {
	onDesks(t, func(t *testing.T, d *desk) {
		_, err := d.StartCampaign(context.Background(), d.as("bob"), d.campaign(tenure.ReviewKeep, "dan"))
		refused(t, err, tenure.Invalid, "nobody is left")
		_, err = d.StartCampaign(context.Background(), d.as("bob"), d.campaign(tenure.ReviewKeep, "robot"))
		refused(t, err, tenure.Invalid, "person")
		_, err = d.StartCampaign(context.Background(), d.as("dan"), d.campaign(tenure.ReviewKeep, "bob", "cleo"))
		refused(t, err, tenure.Forbidden, "review.manage")
	})
}

// What is revoked is gone at once, what is narrowed is less at once, and a batch
// with one wrong answer changes nothing.
func TestDecideInBulk(t *testing.T) {
	onDesks(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		c, items := d.started(d.campaign(tenure.ReviewKeep, "bob", "cleo"))
		byReviewer := make(map[string][]governance.Answer)
		narrow := tenure.Scope{Tiers: []string{"free"}}
		for holder, it := range items {
			a := governance.Answer{Item: it.Seq, Decision: tenure.ReviewKeep}
			switch holder {
			case "dan":
				a = governance.Answer{Item: it.Seq, Decision: tenure.ReviewRevoke, Reason: "left the team"}
			case "robot":
				a = governance.Answer{Item: it.Seq, Decision: tenure.ReviewChange, Reason: "reads one tier", ChangeTo: &tenure.ReviewTo{Scope: &narrow}}
			}
			byReviewer[it.Reviewer] = append(byReviewer[it.Reviewer], a)
		}
		wrong := append([]governance.Answer{}, byReviewer["bob"]...)
		wrong = append(wrong, byReviewer["cleo"][0])
		refused(t, d.decide("bob", c.ID, wrong...), tenure.Forbidden, "")
		if got := d.roles("dan"); got != "operator" {
			t.Errorf("a batch that was refused left dan as %q", got)
		}
		_, err := d.CloseCampaign(ctx, d.as("bob"), c.ID)
		refused(t, err, tenure.Conflict, "aren't answered")
		for by, answers := range byReviewer {
			d.must(d.decide(by, c.ID, answers...))
			refused(t, d.decide(by, c.ID, answers[0]), tenure.Conflict, "answered already")
		}
		if got := d.roles("dan"); got != "" {
			t.Errorf("revoked, dan still is %s", got)
		}
		if g := d.grants("robot"); len(g) != 1 || !g[0].Scope.Within(narrow) {
			t.Errorf("narrowed, the robot has %+v", g)
		}
		if got := d.roles("ann"); got != "admin" {
			t.Errorf("kept, ann is %q", got)
		}
		closed, err := d.CloseCampaign(ctx, d.as("bob"), c.ID)
		d.must(err)
		d.sealed(closed)
	})
}

// sealed checks a campaign's evidence against the log and against its words.
func (d *desk) sealed(c tenure.Campaign) governance.Evidence {
	d.t.Helper()
	ev, err := d.Evidence(context.Background(), d.as("bob"), c.ID)
	d.must(err)
	canonical, err := tenure.Canonical(ev.Document)
	d.must(err)
	log := d.entries("campaign.close")
	if c.State != tenure.CampaignClosed || len(log) != 1 || log[0]["evidence"] != tenure.Digest(canonical) || c.Evidence != log[0]["evidence"] || ev.Digest != c.Evidence {
		d.t.Errorf("the campaign is %s with evidence %s, the document hashes to %s, and the log says %v", c.State, c.Evidence, tenure.Digest(canonical), log)
	}
	var doc struct {
		Items []struct {
			Seq           int
			Outcome, Text string
		}
	}
	d.must(json.Unmarshal(ev.Document, &doc))
	for _, it := range doc.Items {
		words, err := tenure.Canonical(ev.Texts[itoa(it.Seq)])
		d.must(err)
		if tenure.Digest(words) != it.Text || it.Outcome == "" {
			d.t.Errorf("item %d has outcome %q, and its words hash to %s instead of %s", it.Seq, it.Outcome, tenure.Digest(words), it.Text)
		}
	}
	if len(doc.Items) != len(ev.Texts) || len(doc.Items) == 0 {
		d.t.Errorf("the evidence has %d items and the words of %d", len(doc.Items), len(ev.Texts))
	}
	return ev
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

// Silence is answered by the campaign's rule at the due date, not before, and
// once; the evidence says that nobody did.
func TestSilenceFollowsTheRule(t *testing.T) {
	for silence, want := range map[tenure.ReviewDecision]string{tenure.ReviewKeep: "operator", tenure.ReviewRevoke: ""} {
		t.Run(string(silence), func(t *testing.T) {
			onDesks(t, func(t *testing.T, d *desk) {
				ctx := context.Background()
				c, items := d.started(d.campaign(silence, "bob", "cleo"))
				for _, holder := range []string{"ann", "bob", "cleo"} {
					d.must(d.decide(items[holder].Reviewer, c.ID, governance.Answer{Item: items[holder].Seq, Decision: tenure.ReviewKeep}))
				}
				d.pass(14*24*time.Hour - time.Second)
				d.must(d.TickReviews(ctx, d.Now()))
				if got := d.roles("dan"); got != "operator" {
					t.Fatalf("a second before the due date dan is %q", got)
				}
				officers := d.as("bob")
				d.pass(time.Second)
				refused(t, d.decide(items["dan"].Reviewer, c.ID, governance.Answer{Item: items["dan"].Seq, Decision: tenure.ReviewKeep}), tenure.Conflict, "no more answers")
				for range 2 {
					d.must(d.TickReviews(ctx, d.Now()))
				}
				if got := d.roles("dan"); got != want {
					t.Errorf("nobody answered and the rule is %s: dan is %q, want %q", silence, got, want)
				}
				closed, _, err := d.Campaign(ctx, officers, c.ID)
				d.must(err)
				d.sealed(closed)
				if diff := cmp.Diff("2", d.entries("campaign.close")[0]["silent"]); diff != "" {
					t.Errorf("items that nobody answered (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Whom a campaign doesn't concern doesn't know of it; a reviewer sees their own
// items of it and no evidence.
func TestCampaignIsHidden(t *testing.T) {
	onDesks(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		d.hire("eve", tenure.Viewer, everywhere)
		c, _ := d.started(d.campaign(tenure.ReviewKeep, "eve", "bob", "cleo"))
		_, _, err := d.Campaign(ctx, d.as("dan"), c.ID)
		refused(t, err, tenure.NotFound, "no such thing")
		if list, err := d.Campaigns(ctx, d.as("dan"), "", 10); err != nil || len(list) != 0 {
			t.Errorf("dan sees %v, %v", list, err)
		}
		_, f, err := d.Campaign(ctx, d.as("eve"), c.ID)
		d.must(err)
		f.Limit = 100
		own, err := d.ReviewItems(ctx, f)
		d.must(err)
		for _, it := range own {
			if it.Reviewer != "eve" {
				t.Errorf("eve sees the item of %s", it.Reviewer)
			}
		}
		if len(own) == 0 {
			t.Error("eve doesn't see her own items")
		}
		_, err = d.Evidence(ctx, d.as("eve"), c.ID)
		refused(t, err, tenure.Forbidden, "may not read reviews")
	})
}
