// Package demo tells the whole story of Tenure on real systems in a few seconds:
// tenants move in, drift is repaired, a hold stops an erasure, one tenant leaves
// through its retention windows under a fast clock, and its certificate is
// verified offline. What it claims it has seen itself, in the files and tables,
// not heard from Tenure.
package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// Options say where the demo plays.
type Options struct {
	Dir      string // an empty or absent folder; everything stays in it
	Postgres string // DSN; blank plays on SQLite and files
	Exit     bool   // end after the story; otherwise the dashboard stays open until the context ends
	Out      io.Writer
}

// platform is the sample platform that tenants live on, seen from outside.
type platform interface {
	// prepare starts the platform and gives its systems.yaml and its blueprint.
	prepare(ctx context.Context, dir string) (systems, blueprint string, err error)
	// fill gives a tenant data to lose, and says how much.
	fill(ctx context.Context, tenant string) (string, error)
	// backup is the platform's nightly job.
	backup(ctx context.Context, day time.Time) error
	// meddle changes something behind Tenure's back, and says what.
	meddle(ctx context.Context, tenant string) (string, error)
	// look says what of a tenant there is: its own eyes on files and tables, and
	// with everything on its backups too.
	look(ctx context.Context, tenant string, everything bool) ([]string, error)
	// stays says what is left of what tenants did, and tells of none of them; "" if
	// nothing is.
	stays(ctx context.Context) (string, error)
	close() error
}

// story is a demo under way.
type story struct {
	out    io.Writer
	dir    string
	p      platform
	inst   *installation.Installation
	clock  atomic.Int64
	live   atomic.Int64 // when the clock began to go on by itself; 0 while the story sets it
	began  time.Time
	doors  doors
	secret string // that the CRM signs with
	n      int
	seen   int // checks made with the story's own eyes
}

// The people of the story are named after what they do.
const (
	operator = "operator"
	author   = "author"
	reviewer = "reviewer"
	counsel  = "counsel"
	officer  = "officer"
)

// Run plays the demo. It fails if anything isn't as it says.
func Run(ctx context.Context, o Options) (err error) {
	s := &story{out: o.Out, dir: o.Dir, began: time.Now()}
	s.p = &lowcodePlatform{}
	if o.Postgres != "" {
		s.p = &postgresPlatform{dsn: o.Postgres}
	}
	s.clock.Store(time.Now().UTC().Truncate(time.Second).UnixMicro())
	defer func() {
		if s.inst != nil {
			_ = s.inst.Close()
		}
		s.doors.close()
		if cerr := s.p.close(); err == nil && cerr != nil {
			err = cerr
		}
	}()
	for _, chapter := range []func(context.Context) error{s.setUp, s.moveIn, s.drift, s.leave, s.prove, s.people} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	s.say("")
	s.say("Done in %s. %d looks of the demo's own agreed with what Tenure said.", time.Since(s.began).Round(100*time.Millisecond), s.seen)
	return s.open(ctx, o.Exit)
}

func (s *story) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

func (s *story) chapter(title string) {
	s.n++
	s.say("\n%d. %s", s.n, title)
}

func (s *story) note(format string, args ...any) { s.say("   "+format, args...) }

// check is one look of the demo's own; what isn't so ends the story.
func (s *story) check(ok bool, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if !ok {
		return tenure.Errorf(tenure.Internal, "the demo looked and it isn't so: %s", text)
	}
	s.seen++
	s.note("[ok] %s", text)
	return nil
}

func (s *story) now() time.Time {
	now := time.UnixMicro(s.clock.Load()).UTC()
	if live := s.live.Load(); live > 0 {
		now = now.Add(time.Since(time.UnixMicro(live)))
	}
	return now
}

func (s *story) setUp(ctx context.Context) error {
	s.chapter("A platform, and Tenure beside it")
	systems, blueprint, err := s.p.prepare(ctx, filepath.Join(s.dir, "platform"))
	if err != nil {
		return err
	}
	home := filepath.Join(s.dir, "tenure")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return tenure.Errorf(tenure.Unavailable, "demo folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(home, "systems.yaml"), []byte(systems), 0o600); err != nil {
		return tenure.Errorf(tenure.Unavailable, "demo folder: %w", err)
	}
	if err := s.doors.open(s.now); err != nil {
		return err
	}
	events, err := s.crm()
	if err != nil {
		return err
	}
	s.inst, err = installation.Init(ctx, installation.Options{Dir: home, Now: s.now}, installation.Settings{
		Events:  events,
		Witness: filepath.Join(s.dir, "witness", "checkpoints"), URL: s.doors.url(),
		SignIn: &installation.SignIn{Issuer: s.doors.provider.Issuer(), ClientID: demoClient, StrongAMR: []string{"mfa"}},
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "witness"), 0o700); err != nil {
		return tenure.Errorf(tenure.Unavailable, "demo folder: %w", err)
	}
	var names []string
	for _, line := range strings.Split(systems, "\n") {
		if name, ok := strings.CutSuffix(strings.TrimPrefix(line, "  "), ":"); ok && strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if _, err := s.inst.AddSystem(ctx, name, false, operator); err != nil {
			return err
		}
	}
	s.note("systems added, each with a sentinel that later proves absence: %s", strings.Join(names, ", "))
	b, err := s.inst.SubmitBlueprint(ctx, []byte(blueprint), "blueprint.yaml", author)
	if err != nil {
		return err
	}
	if _, err := s.inst.PublishBlueprint(ctx, b.Name+"@"+b.Version, author); tenure.CodeOf(err) != tenure.Forbidden {
		return s.check(false, "the author can't publish alone (got %v)", err)
	}
	if _, err := s.inst.PublishBlueprint(ctx, b.Name+"@"+b.Version, reviewer); err != nil {
		return err
	}
	s.note("blueprint %s %s (%s…) was written by one person and published by another", b.Name, b.Version, b.Digest[:15])
	return s.rules(ctx, b.Name)
}

// tenants of the story.
var tenants = []string{"alder", "birch", "cedar"}

func (s *story) blueprintName(ctx context.Context) (string, error) {
	list, err := s.inst.Blueprints(ctx)
	if err != nil || len(list) == 0 {
		return "", err
	}
	return list[0].Name, nil
}

func (s *story) moveIn(ctx context.Context) error {
	s.chapter("Three tenants move in")
	name, err := s.blueprintName(ctx)
	if err != nil {
		return err
	}
	for i, t := range tenants {
		began := time.Now()
		id, err := s.asked(ctx, i, t, name)
		if err != nil {
			return err
		}
		if _, err := s.inst.Engine.Settle(ctx); err != nil {
			return err
		}
		op, err := s.inst.Operation(ctx, id)
		if err != nil {
			return err
		}
		if i < 2 { // nor can who answers for the machine that asked
			if _, err := s.inst.Approve(ctx, id, "", op.Plan, operator, ""); tenure.CodeOf(err) != tenure.Forbidden {
				return s.check(false, "the requester can't approve (got %v)", err)
			}
		}
		if _, err := s.drive(ctx, id, s.now().Add(time.Hour)); err != nil {
			return err
		}
		v, err := s.inst.Tenant(ctx, t)
		if err != nil {
			return s.unfinished(ctx, id, "%s isn't there after its onboarding: %v", t, err)
		}
		if v.State != tenure.TenantActive {
			return s.unfinished(ctx, id, "%s is %s after its onboarding", t, v.State)
		}
		probes := 0
		for _, st := range op.Body.Steps {
			if st.Stage == tenure.StageVerify {
				probes++
			}
		}
		what, err := s.p.fill(ctx, t)
		if err != nil {
			return err
		}
		s.note("%s: plan %s…, %d resources, %d probes passed, active after %s; then it works: %s", t, op.Plan[:15], len(op.Body.Resources), probes, time.Since(began).Round(time.Millisecond), what)
		have, err := s.p.look(ctx, t, false)
		if err != nil {
			return err
		}
		if err := s.check(len(have) > 0, "%d things of %s are there", len(have), t); err != nil {
			return err
		}
	}
	return s.p.backup(ctx, s.now())
}

// asked has a tenant asked for: the first by an event of the CRM, the others by a person.
func (s *story) asked(ctx context.Context, i int, tenant, blueprint string) (tenure.OperationID, error) {
	if i == 0 {
		return s.wonDeal(ctx, tenant)
	}
	_, op, err := s.inst.Request(ctx, lifecycle.Intent{
		Kind: tenure.Onboard, Tenant: tenant, Blueprint: blueprint, Tier: "team", Trigger: "deal-" + tenant,
		Parameters: map[string]any{"adminLogin": "admin@" + tenant + ".example"},
	}, operator)
	return op.ID, err
}

// unfinished explains why an operation isn't where the story wants it.
func (s *story) unfinished(ctx context.Context, id tenure.OperationID, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if v, err := s.inst.Operation(ctx, id); err == nil {
		text += fmt.Sprintf("; operation %s is %s: %s", v.Kind, v.State, v.Reason)
		for _, st := range v.Steps {
			if st.Error != "" {
				text += fmt.Sprintf("; %s: %s", st.Key, st.Error)
			}
		}
	}
	return tenure.Errorf(tenure.Internal, "the demo expected otherwise: %s", text)
}

func (s *story) drift(ctx context.Context) error {
	s.chapter("Somebody meddles, and drift is repaired")
	what, err := s.p.meddle(ctx, "birch")
	if err != nil {
		return err
	}
	s.note("behind Tenure's back: %s", what)
	look, err := s.inst.Drift(ctx, "")
	if err != nil {
		return err
	}
	for _, f := range look.Findings {
		s.note("found (%s): %s", f.Severity, f.Detail)
	}
	if err := s.check(len(look.Findings) > 0, "drift sees it"); err != nil {
		return err
	}
	_, op, err := s.inst.Request(ctx, lifecycle.Intent{Kind: tenure.Repair, Tenant: "birch"}, operator)
	if err != nil {
		return err
	}
	if _, err := s.drive(ctx, op.ID, s.now().Add(time.Hour)); err != nil {
		return err
	}
	if look, err = s.inst.Drift(ctx, ""); err != nil {
		return err
	}
	if len(look.Findings) > 0 {
		return s.unfinished(ctx, op.ID, "after the repair there is still drift: %s", look.Findings[0].Detail)
	}
	return s.check(true, "after the repair live equals desired again")
}

// drive carries an operation on until a moment: it lets the clock jump to whatever
// is due next, and lets people sign, confirm and do what the operation waits for.
func (s *story) drive(ctx context.Context, id tenure.OperationID, until time.Time) (lifecycle.OperationView, error) {
	for range 400 {
		next, err := s.inst.Engine.Settle(ctx)
		if err != nil {
			return lifecycle.OperationView{}, err
		}
		v, err := s.inst.Operation(ctx, id)
		if err != nil {
			return lifecycle.OperationView{}, err
		}
		if v.State.Ended() || v.State == tenure.OperationBlocked {
			return *v, nil
		}
		acted, err := s.sitters(ctx, v)
		switch {
		case err != nil:
			return *v, err
		case acted:
		case next.IsZero() || next.After(until):
			if until.After(s.now()) {
				s.clock.Store(until.UnixMicro())
				continue
			}
			return *v, nil
		default:
			s.clock.Store(max(next.UnixMicro(), s.clock.Load()))
			if err := s.p.backup(ctx, s.now()); err != nil { // last night's, which outlives what it copied
				return *v, err
			}
		}
	}
	return lifecycle.OperationView{}, s.unfinished(ctx, id, "the operation doesn't come to an end")
}

// sitters sign what waits for them: distinct persons, none the requester.
func (s *story) sitters(ctx context.Context, v *lifecycle.OperationView) (acted bool, err error) {
	if v.Body == nil {
		return false, nil
	}
	done := make(map[string]bool)
	for i, st := range v.Body.Steps {
		r := v.Steps[i]
		done[st.Key] = r.State == tenure.StepDone || r.State == tenure.StepSkipped || r.State == tenure.StepFailed && st.Optional
	}
	for i, st := range v.Body.Steps {
		ready := v.Steps[i].State == tenure.StepPending && !slices.ContainsFunc(st.Needs, func(n string) bool { return !done[n] })
		if !ready {
			continue
		}
		switch st.Action {
		case tenure.ActTask:
			by := operator
			if st.Gate.Another {
				by = reviewer
			}
			if _, err := s.inst.FinishTask(ctx, v.ID, st.Key, by, "done"); err != nil {
				return acted, err
			}
			s.note("%s  %s says that a person's task is done: %s", s.day(), by, st.Summary)
			acted = true
		case tenure.ActApproval, tenure.ActNoReturn:
			names := []string{reviewer, officer}[:st.Gate.Approvals]
			if err := s.sign(ctx, v, st.Key, names); err != nil {
				return acted, err
			}
			word := "approve the plan's digest"
			if st.Action == tenure.ActNoReturn {
				word = "confirm the fresh counts at the point of no return"
			}
			s.note("%s  %s %s (%s)", s.day(), strings.Join(names, " and "), word, st.Key)
			acted = true
		}
	}
	return acted, nil
}

func (s *story) sign(ctx context.Context, v *lifecycle.OperationView, gate string, names []string) error {
	for _, by := range names {
		for try := 0; ; try++ {
			_, err := s.inst.Approve(ctx, v.ID, gate, v.Plan, by, "")
			if err == nil {
				break
			}
			if tenure.CodeOf(err) != tenure.Conflict || try > 2 {
				return err
			}
			if _, err := s.inst.Engine.Settle(ctx); err != nil { // the counts are taken again
				return err
			}
		}
	}
	return nil
}

func (s *story) day() string { return s.now().Format("2006-01-02") }

func (s *story) leave(ctx context.Context) error {
	s.chapter("alder leaves, and a legal hold stops its erasure")
	before, err := s.p.look(ctx, "birch", false)
	if err != nil {
		return err
	}
	p, op, err := s.inst.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "alder", Reason: "the contract ends"}, operator)
	if err != nil {
		return err
	}
	s.note("plan %s…: %d steps, %d destructive; points of no return, by projection:", p.Digest[:15], len(p.Plan.Steps), p.Plan.Destructive)
	for _, d := range p.Plan.Dates {
		if name, ok := strings.CutPrefix(d.What, "point of no return: "); ok {
			s.note("  %s  %s", d.At.Format("2006-01-02"), name)
		}
	}
	if _, err := s.drive(ctx, op.ID, s.now().AddDate(0, 0, 35)); err != nil {
		return err
	}
	v, err := s.inst.Tenant(ctx, "alder")
	if err != nil {
		return err
	}
	if v.State != tenure.TenantRetained {
		return s.unfinished(ctx, op.ID, "alder is %s when its access should be cut", v.State)
	}
	s.note("%s  access is cut in layers and proven cut; the data waits for its clocks", s.day())
	h, err := s.inst.PlaceHold(ctx, tenure.Hold{Matter: "case 26-117", Reason: "claim by a former customer", Scope: tenure.HoldScope{Tenant: v.ID}}, counsel)
	if err != nil {
		return err
	}
	s.note("%s  counsel places hold %s…: it binds at once and has no expiry", s.day(), h.ID[:12])
	held, err := s.p.look(ctx, "alder", false)
	if err != nil {
		return err
	}
	if _, err := s.drive(ctx, op.ID, s.now().AddDate(0, 4, 0)); err != nil {
		return err
	}
	still, err := s.p.look(ctx, "alder", false)
	if err != nil {
		return err
	}
	if err := s.check(len(still) == len(held), "%s: four months on, past its first clocks, all %d things of alder are still there", s.day(), len(still)); err != nil {
		return err
	}
	reasons, err := s.inst.Explain(ctx, "alder")
	if err != nil {
		return err
	}
	s.note("tenure explain alder: %s/%s is still there: %s", reasons[0].Environment, reasons[0].Resource, reasons[0].Reason)
	if _, err := s.inst.ReleaseHold(ctx, h.ID, counsel); err != nil {
		return err
	}
	if h, err = s.inst.ReleaseHold(ctx, h.ID, officer); err != nil {
		return err
	}
	if err := s.check(!h.Active(), "the hold is released by two persons, not by one"); err != nil {
		return err
	}
	s.chapter("Through the retention windows, under a fast clock")
	if err := s.toTheEnd(ctx, op.ID); err != nil {
		return err
	}
	after, err := s.p.look(ctx, "birch", false)
	if err != nil {
		return err
	}
	return s.check(slices.Equal(before, after), "the neighbour birch is as it was: the same %d things, with the same content", len(after))
}

// toTheEnd drives the offboarding in steps of years.
func (s *story) toTheEnd(ctx context.Context, id tenure.OperationID) error {
	for range 6 {
		v, err := s.drive(ctx, id, s.now().AddDate(2, 0, 0))
		if err != nil {
			return err
		}
		if v.State == tenure.OperationSucceeded {
			s.note("%s  the offboarding has ended: %d steps", s.day(), len(v.Steps))
			return nil
		}
		if v.State == tenure.OperationBlocked {
			return s.unfinished(ctx, id, "the offboarding is blocked")
		}
		s.note("%s  %s", s.day(), first(v.Reason))
	}
	return s.unfinished(ctx, id, "the offboarding hasn't ended after twelve years")
}

func first(reason string) string {
	a, _, _ := strings.Cut(reason, "; ")
	return a
}

func (s *story) prove(ctx context.Context) error {
	s.chapter("Proof")
	left, err := s.p.look(ctx, "alder", true)
	if err != nil {
		return err
	}
	if err := s.check(len(left) == 0, "nothing of alder is left in files, tables and backups %s", strings.Join(left, ", ")); err != nil {
		return err
	}
	stays, err := s.p.stays(ctx)
	if err != nil {
		return err
	}
	if stays != "" {
		s.note("what stays tells of nobody: %s", stays)
	}
	list, err := s.inst.Tenants(ctx, closedOnes)
	if err != nil || len(list) == 0 {
		return s.check(false, "alder's record is closed (%v)", err)
	}
	for _, kind := range []string{"interim", "closing"} {
		file, err := s.inst.Certificate(ctx, string(list[0].ID), kind)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.dir, kind+"-certificate.json"), file, 0o600); err != nil {
			return tenure.Errorf(tenure.Unavailable, "write the certificate: %w", err)
		}
	}
	key, err := s.inst.VerifierKey()
	if err != nil {
		return err
	}
	keyFile := filepath.Join(s.dir, "tenure.pub")
	if err := os.WriteFile(keyFile, []byte(key+"\n"), 0o600); err != nil {
		return tenure.Errorf(tenure.Unavailable, "write the key: %w", err)
	}
	file, err := os.ReadFile(filepath.Join(s.dir, "closing-certificate.json"))
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "read the certificate: %w", err)
	}
	rep, err := evidence.Verify(file, key)
	if err != nil {
		return err
	}
	if err := s.check(true, "the closing certificate verifies offline: %d checks, %d resources, %d data classes", len(rep.Checks), len(rep.Departure.Resources), len(rep.Departure.Classes)); err != nil {
		return err
	}
	file[len(file)/2] ^= 1
	if _, err := evidence.Verify(file, key); err == nil {
		return s.check(false, "a changed byte is noticed")
	}
	if err := s.check(true, "with one bit of it changed it doesn't"); err != nil {
		return err
	}
	audit, err := s.inst.VerifyAudit(ctx)
	if err != nil {
		return err
	}
	if err := s.check(audit.OK(), "the audit log verifies: %d entries, the store agrees with it, witness %s %s", audit.Entries, audit.Witness, strings.Join(audit.Problems, "; ")); err != nil {
		return err
	}
	s.note("check it yourself:")
	s.note("  tenure certificate verify %s --key %s", filepath.Join(s.dir, "closing-certificate.json"), keyFile)
	s.note("  tenure --dir %s tenant list --closed", filepath.Join(s.dir, "tenure"))
	return nil
}
