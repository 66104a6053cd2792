package lifecycle

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/store"
)

// runCertify issues a certificate: the statement is signed and its digest goes
// into the log with the step's result. The file with its proofs is put together
// when somebody asks for it, since the proofs need the log to have moved on.
func (s *Service) runCertify(ctx context.Context, t *engine.Task) engine.Result {
	d, err := s.departure(ctx, t)
	if err != nil {
		return engine.Result{Err: err}
	}
	env, err := evidence.Issue(ctx, s.signer, *d)
	if err != nil {
		return engine.Result{Verdict: tenure.Failed, Err: err}
	}
	digest, err := env.Digest()
	if err != nil {
		return engine.Result{Err: err}
	}
	id := tenure.DeriveID[tenure.CertificateID](t.Now, string(t.Operation.ID), t.Step.Key)
	e, err := evidence.IssuedEntry(env, d, id, d.Issued)
	if err != nil {
		return engine.Result{Err: err}
	}
	body, err := json.Marshal(certificateRow{Envelope: *env, Entries: d.Entries})
	if err != nil {
		return engine.Result{Err: tenure.Errorf(tenure.Internal, "certificate: %w", err)}
	}
	row := store.Certificate{ID: id, Tenant: t.Plan.Tenant, Kind: string(d.Kind), Digest: digest, Body: body, IssuedAt: d.Issued}
	return engine.Result{
		Verdict: tenure.Verified, Facts: map[string]string{"certificate": string(id), "payload": digest},
		Receipt: map[string]string{"certificate": string(id), "digest": digest},
		Extra: func(tx *store.Tx) error {
			if err := tx.SaveCertificate(row); err != nil {
				return err
			}
			return tx.Log(*e)
		},
	}
}

// certificateRow is a certificate as the store keeps it, without its proofs.
type certificateRow struct {
	Envelope evidence.Envelope `json:"envelope"`
	Entries  []string          `json:"entries"`
}

// pseudonym stands for a person in a certificate: an HMAC under the installation's
// own key, so that nobody else can confirm a guess at the name.
func (s *Service) pseudonym(by string) string {
	h := hmac.New(sha256.New, s.mac)
	h.Write([]byte("person in a certificate\x00" + by))
	return "person:" + hex.EncodeToString(h.Sum(nil)[:8])
}

// departure gathers what a certificate says.
func (s *Service) departure(ctx context.Context, t *engine.Task) (*evidence.Departure, error) {
	now := t.Now.UTC().Truncate(time.Microsecond)
	d := &evidence.Departure{
		Kind: evidence.Kind(t.Step.To), Issued: now, Installation: s.o.Installation, Operation: t.Operation.ID, Plan: t.Operation.Plan,
		Tenant:    evidence.Tenant{ID: t.Plan.Tenant, Name: evidence.NameDigest(t.Plan.Tenant, t.Plan.Name)},
		Blueprint: evidence.Blueprint{Name: t.Plan.Blueprint.Name, Revision: t.Plan.Blueprint.Digest},
	}
	for _, f := range []func(context.Context, *engine.Task, *evidence.Departure) error{
		s.certifyPeople, s.certifyResources, s.certifyKeys, s.certifyHolds, s.certifyLog, s.certifyInterim,
	} {
		if err := f(ctx, t, d); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (s *Service) certifyPeople(ctx context.Context, t *engine.Task, d *evidence.Departure) error {
	signed, err := s.o.DB.Approvals(ctx, t.Operation.ID)
	if err != nil {
		return err
	}
	for _, a := range signed {
		d.Approvals = append(d.Approvals, evidence.Approval{Gate: a.Step, By: s.pseudonym(a.By), At: a.At})
	}
	costs, err := s.costs(ctx, t)
	if err != nil {
		return err
	}
	for _, c := range costs {
		d.Costs = append(d.Costs, evidence.Cost{System: c.System, Minor: c.Minor, Currency: c.Currency})
	}
	return nil
}

// certifyResources lists what became of each resource and of each data class,
// and the copies that are still to expire.
func (s *Service) certifyResources(ctx context.Context, t *engine.Task, d *evidence.Departure) error {
	rows, err := s.o.DB.Resources(ctx, t.Plan.Tenant, true)
	if err != nil {
		return err
	}
	steps, err := s.o.DB.Steps(ctx, t.Operation.ID)
	if err != nil {
		return err
	}
	excused, err := s.certifyExceptions(ctx, t, d)
	if err != nil {
		return err
	}
	counts, ended := receipts(t.Plan, steps)
	verdicts := make(map[string]tenure.Verdict) // by class
	rowsOf := make(map[string]int64)
	for _, r := range rows {
		verdict := tenure.Verified
		if r.State != tenure.ResourceGone {
			verdict = tenure.Unknown
			if r.Layer == tenure.LayerBackup && d.Kind == evidence.Interim {
				if err := s.certifyCopies(ctx, r, d); err != nil {
					return err
				}
				continue
			}
		}
		at := ended[r.ID]
		if at.IsZero() {
			at = r.UpdatedAt
		}
		c := counts[r.ID]
		d.Resources = append(d.Resources, evidence.Resource{
			ID: r.ID, System: r.System, Type: r.Type, Environment: r.Environment, Name: evidence.NameDigest(t.Plan.Tenant, r.Name),
			Method: evidence.LogicallyDeleted, Verdict: verdict, Count: c.rows + c.objects, At: at, Detail: c.detail(),
		})
		if excuse, ok := excused[r.ID]; ok && verdict != tenure.Verified {
			excuse.What = "resource:" + string(r.ID)
			d.Exceptions = append(d.Exceptions, excuse)
		}
		for _, class := range r.Classes {
			if v, ok := verdicts[class]; !ok || v == tenure.Verified {
				verdicts[class] = verdict
			}
			if len(r.Classes) == 1 {
				rowsOf[class] += c.rows
			}
		}
	}
	return s.certifyClasses(t, steps, d, verdicts, rowsOf, excused)
}

// certifyCopies lists a backup's copies that are still there.
func (s *Service) certifyCopies(ctx context.Context, r store.ResourceRow, d *evidence.Departure) error {
	sys, err := s.system(ctx, r.System)
	if err != nil {
		return err
	}
	seen, _, err := sys.Observe(ctx, []connector.Ref{refOf(r.Resource)})
	if err != nil {
		return err
	}
	for _, c := range seen[0].Copies {
		d.Backups = append(d.Backups, evidence.Backup{Where: r.System + ":" + string(r.ID) + ":" + tenure.Digest([]byte(c.Where))[7:19], Expires: c.Expires.UTC().Truncate(time.Microsecond)})
	}
	return nil
}

// certifyExceptions lists every step that two persons let be left out, and gives
// those that are about a resource.
func (s *Service) certifyExceptions(ctx context.Context, t *engine.Task, d *evidence.Departure) (map[tenure.ResourceID]evidence.Exception, error) {
	list, err := s.o.DB.Exceptions(ctx, t.Operation.ID)
	if err != nil {
		return nil, err
	}
	out := make(map[tenure.ResourceID]evidence.Exception)
	for _, e := range list {
		i := slices.IndexFunc(t.Plan.Steps, func(st tenure.Step) bool { return st.Key == e.Step })
		if i < 0 || e.AttestedBy == "" {
			continue
		}
		excuse := evidence.Exception{What: "step:" + e.Step, Reason: e.Reason, By: s.pseudonym(e.AskedBy), Attested: s.pseudonym(e.AttestedBy)}
		d.Exceptions = append(d.Exceptions, excuse)
		if id := t.Plan.Steps[i].Resource; id != "" {
			out[id] = excuse
		}
	}
	return out, nil
}

type tally struct{ rows, objects, bytes int64 }

func (t tally) detail() string {
	if t == (tally{}) {
		return ""
	}
	return fmt.Sprintf("%d rows, %d objects, %d bytes counted", t.rows, t.objects, t.bytes)
}

// receipts adds up what the erasing and deleting steps counted, by resource, and
// when each resource's deletion ended. The counts taken at the point of no return
// stand where a deletion counts nothing itself.
func receipts(p *tenure.Plan, steps []store.StepRow) (map[tenure.ResourceID]tally, map[tenure.ResourceID]time.Time) {
	counted, before := make(map[tenure.ResourceID]tally), make(map[tenure.ResourceID]tally)
	ended := make(map[tenure.ResourceID]time.Time)
	for i, st := range p.Steps {
		if st.Resource == "" || steps[i].Receipt == "" {
			continue
		}
		var r struct {
			Counts  map[string]int64 `json:"counts"`
			Metrics map[string]int64 `json:"metrics"`
		}
		if json.Unmarshal([]byte(steps[i].Receipt), &r) != nil {
			continue
		}
		switch st.Action {
		case tenure.ActErase, tenure.ActDelete:
			t := counted[st.Resource]
			for k, n := range r.Counts {
				switch k {
				case "bytes":
					t.bytes += n
				case "objects", "files":
					t.objects += n
				default:
					t.rows += n
				}
			}
			counted[st.Resource] = t
			if st.Action == tenure.ActDelete {
				ended[st.Resource] = steps[i].EndedAt
			}
		case tenure.ActObserve, tenure.ActCount:
			before[st.Resource] = tally{rows: r.Metrics["rows"], objects: r.Metrics["objects"], bytes: r.Metrics["bytes"]}
		}
	}
	for id, b := range before {
		if counted[id] == (tally{}) {
			counted[id] = b
		}
	}
	return counted, ended
}

func (s *Service) certifyClasses(t *engine.Task, steps []store.StepRow, d *evidence.Departure, verdicts map[string]tenure.Verdict, rows map[string]int64, excused map[tenure.ResourceID]evidence.Exception) error {
	for _, class := range t.Plan.Classes {
		v, used := verdicts[class.Name]
		if !used {
			continue
		}
		clock := tenure.SolveRetention(class, t.Tenant.Anchors, nil, tenure.HoldSubject{Tenant: t.Plan.Tenant}, t.Now)
		c := evidence.DataClass{Class: class.Name, Disposition: class.Disposition, Method: evidence.LogicallyDeleted, Verdict: v, Rows: rows[class.Name], KeptUntil: clock.KeepUntil, At: d.Issued, Because: clock.Because}
		if class.Disposition == tenure.CryptoErase {
			c.Method, c.Key = evidence.CryptographicErase, string(keySpec(t.Plan.Tenant, "class-"+class.Name).ID())
		}
		d.Classes = append(d.Classes, c)
		if v != tenure.Verified {
			for _, e := range excused {
				e.What = "class:" + class.Name
				d.Exceptions = append(d.Exceptions, e)
				break
			}
		}
	}
	return nil
}

func (s *Service) certifyKeys(ctx context.Context, t *engine.Task, d *evidence.Departure) error {
	keys, err := s.o.Keys.List(ctx, t.Plan.Tenant)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.State == keystore.Active {
			continue
		}
		out := evidence.Key{ID: string(k.Key), Purpose: string(k.Spec.Purpose), Class: k.Spec.Class, Method: evidence.CryptographicErase, Verdict: k.Verdict(), At: k.Destroyed.UTC().Truncate(time.Microsecond)}
		for _, c := range k.Copies {
			out.Copies = append(out.Copies, evidence.Backup{Where: c.Location, Expires: c.Expires.UTC()})
		}
		d.Keys = append(d.Keys, out)
	}
	return nil
}

func (s *Service) certifyHolds(ctx context.Context, t *engine.Task, d *evidence.Departure) error {
	holds, err := s.o.DB.Holds(ctx, t.Plan.Tenant, true)
	if err != nil {
		return err
	}
	for _, h := range holds {
		d.Holds = append(d.Holds, evidence.Hold{ID: h.ID, Since: h.PlacedAt, Released: h.ReleasedAt})
	}
	return nil
}

// certifyLog takes from the log the tenant's moves, which make the timeline, and
// the entries that the certificate rests on: those moves and every destruction
// of this operation.
func (s *Service) certifyLog(ctx context.Context, t *engine.Task, d *evidence.Departure) error {
	for r, err := range s.o.DB.Entries(ctx, 0) {
		if err != nil {
			return err
		}
		if !strings.Contains(string(r.Entry), string(t.Plan.Tenant)) {
			continue
		}
		e, err := audit.Decode(r.Entry)
		if err != nil {
			return err
		}
		if e.Tenant != t.Plan.Tenant {
			continue
		}
		var facts map[string]any
		_ = json.Unmarshal(e.Data, &facts)
		switch {
		case e.Kind == "tenant.move":
			d.Timeline = append(d.Timeline, evidence.Moment{State: tenure.TenantState(fmt.Sprint(facts["to"])), At: e.At})
		case e.Kind == "step.result" && e.Operation == t.Operation.ID && (facts["action"] == string(tenure.ActDelete) || facts["action"] == string(tenure.ActErase) || facts["action"] == string(tenure.ActKeyDestroy)):
		default:
			continue
		}
		d.Entries = append(d.Entries, tenure.Digest(r.Entry))
	}
	return nil
}

func (s *Service) certifyInterim(ctx context.Context, t *engine.Task, d *evidence.Departure) error {
	if d.Kind != evidence.Closing {
		return nil
	}
	have, err := s.o.DB.Certificates(ctx, t.Plan.Tenant)
	if err != nil {
		return err
	}
	for _, c := range have {
		if c.Kind == string(evidence.Interim) {
			d.Interim = c.Digest
		}
	}
	return nil
}

// Certificates lists a tenant's certificates.
func (s *Service) Certificates(ctx context.Context, tenant string) ([]store.Certificate, error) {
	t, err := s.o.DB.Tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return s.o.DB.Certificates(ctx, t.ID)
}

// Certificate puts a certificate's file together: the envelope and the proofs
// that the log, at a checkpoint of now, holds its digest and what it rests on.
// What it hands out has passed evidence.Verify.
func (s *Service) Certificate(ctx context.Context, tenant, kind string) ([]byte, error) {
	list, err := s.Certificates(ctx, tenant)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		list = slices.DeleteFunc(list, func(c store.Certificate) bool { return c.Kind != kind })
	}
	if len(list) == 0 {
		return nil, tenure.Errorf(tenure.NotFound, "%s has no %scertificate yet", tenant, strings.TrimPrefix(kind+" ", " ")).WithHint("see how far it is: tenure explain %s", tenant)
	}
	c := list[len(list)-1]
	var row certificateRow
	if err := json.Unmarshal(c.Body, &row); err != nil {
		return nil, tenure.Errorf(tenure.Internal, "certificate %s: %w", c.ID, err)
	}
	check, _, err := s.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	wanted := make(map[string]int, len(row.Entries))
	for i, digest := range row.Entries {
		wanted[digest] = i
	}
	others := make([]evidence.EntryProof, len(row.Entries))
	var issued evidence.EntryProof
	hashes := s.o.DB.HashReader(ctx)
	prove := func(r audit.Record) (evidence.EntryProof, error) {
		p, err := audit.Prove(check, r.Index, hashes)
		if err != nil {
			return evidence.EntryProof{}, err
		}
		return evidence.NewEntryProof(r.Entry, p), nil
	}
	for r, err := range s.o.DB.Entries(ctx, 0) {
		if err != nil {
			return nil, err
		}
		if i, ok := wanted[tenure.Digest(r.Entry)]; ok {
			if others[i], err = prove(r); err != nil {
				return nil, err
			}
		}
		if strings.Contains(string(r.Entry), string(c.ID)) && strings.Contains(string(r.Entry), `"`+evidence.IssuedKind+`"`) {
			if issued, err = prove(r); err != nil {
				return nil, err
			}
		}
	}
	file, err := evidence.NewBundle(&row.Envelope, issued, others...).Encode()
	if err != nil {
		return nil, err
	}
	key, err := s.VerifierKey()
	if err != nil {
		return nil, err
	}
	if _, err := evidence.Verify(file, key); err != nil {
		return nil, tenure.Errorf(tenure.Internal, "certificate %s doesn't verify: %w", c.ID, err)
	}
	return file, nil
}
