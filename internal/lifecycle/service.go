// Package lifecycle is the one door: whatever a person, a call or a trigger asks
// of a tenant goes through here. It asks whether that may be, makes the plan,
// sets the gates and starts the operation; the engine does the rest.
package lifecycle

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/clock"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/secret"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/witness"
)

// Options are what a Service is made of. All but Witness are needed.
type Options struct {
	DB           *store.DB
	Keys         *keystore.Store
	Catalog      []connector.Info
	Installation tenure.InstallationID
	Settings     map[string]SystemSettings // by system
	Secrets      *secret.Reader            // reads what they keep elsewhere; nil: env: and file: alone
	Folder       string                    // of hand-overs
	Now          func() time.Time
	Clock        clock.Clock     // nil: Now, as a virtual clock
	Witness      witness.Witness // nil: checkpoints stay here, and the past can be rewritten by who holds store and key
	WitnessName  string          // how certificates call the witness
	Budget       Budget
	Owner        string // names this process in leases
	// Calls is told of each call to a system; nil is nobody.
	Calls     connector.Observer
	SoughtFor tenure.Period         // how long a closed tenant's places are looked at; zero is two years
	Approvals []tenure.ApprovalRule // on top of what blueprints ask for
	Groups    map[string][]string   // of persons, by name, for escalations
	Sends     bool                  // notices are sent somewhere: who has left is forgotten after its last one
	Ahead     []tenure.Period       // how long before a date notices go out; nil is [Ahead], an empty list never
	URL       string                // what people reach this installation at, for links in notices; "" without one
	Language  string                // of what people outside read who have none of their own; a tag by BCP 47
}

// Budget bounds how much may be destroyed in an hour: destructive operations by
// one person, and under one blueprint. Zero fields are 10 and 50.
type Budget struct {
	Person    int
	Blueprint int
}

// SystemSettings are one system's entry in the systems file, resolved.
type SystemSettings struct {
	Connector string
	Options   map[string]string
	Secrets   map[string]tenure.Secret
	Kept      map[string]secret.Place // options that are kept elsewhere, secret or not
	Limit     int
	Prices    map[string]int64
	Currency  string
	Region    string        // where it stands, as plans say it
	Dormant   tenure.Period // how long accounts may go without a sign-in; zero is hygiene.Dormant
	Rotate    tenure.Period // how long after it was put where it is kept its credential is due for rotation; zero is never
	Owner     string        // who answers for its credential; "" is who added it
	Err       error         // why the entry can't be used; it hides no other system
}

// Service is the one door. Its methods may be called from any goroutine.
type Service struct {
	o      Options
	Engine *engine.Engine
	look   *hygiene.Looker
	signer *audit.Signer
	mac    []byte // of owner marks and pseudonyms

	mu        sync.Mutex
	systems   map[string]*connector.System
	revisions map[string]*blueprint.Compiled // by digest
	staff     keystore.KeyID

	may      Decider             // nil: grants alone decide
	inbox    []InboxSource       // what else waits for somebody's word
	forgot   time.Time           // when TickForget last looked everywhere
	recorded bool                // gates from before they were recorded have been looked for
	unseen   store.StandingStart // the last one that a finding was made of
	cost     costKeeper
	figures  figureKeeper
	stalling sync.Mutex // systems' own rules are suspended and put back by one hold at a time
	probing  probing
	witness  witnessed
	doubts   storeDoubts
	renewals renewals
	overdue  overdues  // TickSecrets alone
	troubled time.Time // when TickIncidents last looked
	aheadAt  time.Time // when TickAhead last looked
}

// New puts a service together. It opens no system yet: each is opened when it is
// first needed.
func New(ctx context.Context, o Options) (*Service, error) {
	exact := o.Now
	o.Now = func() time.Time { return exact().UTC().Truncate(time.Microsecond) } // what a store keeps of it
	s := &Service{o: o, systems: make(map[string]*connector.System), look: &hygiene.Looker{DB: o.DB, Now: o.Now}}
	s.look.System = s.system
	s.look.Secrets = s.liveSecrets
	if o.Budget.Person <= 0 {
		s.o.Budget.Person = 10
	}
	if o.Budget.Blueprint <= 0 {
		s.o.Budget.Blueprint = 50
	}
	if o.Clock == nil {
		s.o.Clock = clock.Virtual(o.Now)
	}
	var err error
	if s.signer, err = o.Keys.Signer(ctx); err != nil {
		return nil, err
	}
	o.Keys.Follow(s.noted)
	mac, err := o.Keys.MACKey(ctx)
	if err != nil {
		return nil, err
	}
	s.mac = []byte(mac.Reveal())
	if err := o.DB.Seal(ctx, rowsKey(s.mac), o.Now, !s.rewritten(ctx)); err != nil {
		return nil, err
	}
	apart, err := s.notContinued(ctx, false)
	if err == nil {
		err = s.doubtStore(ctx, apart)
	}
	if err != nil {
		return nil, err
	}
	s.staff = keystore.KeySpec{Purpose: keystore.Evidence, Class: "evidence"}.ID()
	s.look.Changes, s.look.Digest = s.changesOf, s.knownDigest
	s.look.Window = func(system string) time.Duration {
		p, now := s.o.Settings[system].Dormant, s.Now()
		if p.IsZero() {
			return 0
		}
		return p.After(now).Sub(now)
	}
	s.Engine = &engine.Engine{
		DB: o.DB, Owner: o.Owner, Now: o.Now,
		System:     func(name string) (*connector.System, error) { return s.system(context.WithoutCancel(ctx), name) },
		Credential: s.credential,
		Issued:     s.issued,
		Replaced:   s.replaced,
		Pseudonyms: s.pseudonyms,
		ExportTo:   s.exportTo,
		Amend:      s.amended,
		Declared:   s.look.Declared,
		Doubt:      s.Doubt,
	}
	s.Engine.Own = map[tenure.Action]engine.Runner{
		tenure.ActMove: s.runMove, tenure.ActBind: s.runBind, tenure.ActKeyCreate: s.runKeyCreate, tenure.ActKeyDestroy: s.runKeyDestroy,
		tenure.ActSweep: s.runSweep, tenure.ActReclaim: s.runReclaim, tenure.ActCertify: s.runCertify, tenure.ActNotify: s.runNotify,
		tenure.ActOutputs: s.runOutputs, tenure.ActForget: s.runForget, tenure.ActTeardown: s.runTeardown, tenure.ActDropExport: s.runDropExport,
		tenure.ActLook: s.runLook,
	}
	return s, nil
}

// rowsKey is the key of the digests that the log keeps of rows.
func rowsKey(mac []byte) []byte {
	m := hmac.New(sha256.New, mac)
	m.Write([]byte("tenure rows v1"))
	return m.Sum(nil)
}

// Close lets go of the systems.
func (s *Service) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, sys := range s.systems {
		_ = sys.Close()
		delete(s.systems, name)
	}
}

// Now is the service's time, in whole microseconds UTC.
func (s *Service) Now() time.Time { return s.o.Now() }

// Installation is the installation's id.
func (s *Service) Installation() tenure.InstallationID { return s.o.Installation }

// verifiers are the keys that checkpoints of this log are signed with.
func (s *Service) verifiers() ([]note.Verifier, error) {
	v, err := s.o.Keys.Verifier()
	if err != nil {
		return nil, err
	}
	return []note.Verifier{v}, nil
}

// VerifierKey is the public key that certificates and checkpoints are verified
// with, as text.
func (s *Service) VerifierKey() (string, error) {
	v, err := s.o.Keys.Verifier()
	if err != nil {
		return "", err
	}
	return v.String(), nil
}

// Entry makes an audit entry about what a person did, for who writes beside this
// package; the person's name is sealed under the evidence key.
func (s *Service) Entry(ctx context.Context, kind, by string, tenant tenure.TenantID, op tenure.OperationID, subject string, facts map[string]string) (audit.Entry, error) {
	return s.entry(ctx, kind, by, tenant, op, subject, facts)
}

// entry makes an audit entry about what a person did; the person's name is sealed
// under the evidence key, which outlives the tenant.
func (s *Service) entry(ctx context.Context, kind, by string, tenant tenure.TenantID, op tenure.OperationID, subject string, facts map[string]string) (audit.Entry, error) {
	e := audit.Entry{Format: audit.Format, At: s.Now(), Kind: kind, Tenant: tenant, Operation: op, Subject: subject, Data: audit.Facts(facts)}
	if by == "" {
		return e, nil
	}
	key, err := s.o.Keys.Create(ctx, keystore.KeySpec{Purpose: keystore.Evidence, Class: "evidence"})
	if err != nil {
		return e, err
	}
	aead, err := s.o.Keys.AEAD(ctx, key)
	if err != nil {
		return e, err
	}
	return e, e.Seal(aead, string(key), "by", []byte(by))
}

// person refuses an action without a name.
func person(by string) error {
	if by == "" {
		return tenure.Errorf(tenure.Unauthorized, "nobody is named as the one who asks").WithHint("say who you are: --as NAME")
	}
	if _, err := tenure.NeedLine("a person's name", by, tenure.MaxTitle); err != nil {
		return err
	}
	if strings.HasPrefix(by, tenure.StandingSigner) {
		return tenure.Errorf(tenure.Invalid, "a name that begins with %s is a standing approval's", tenure.StandingSigner)
	}
	return nil
}
