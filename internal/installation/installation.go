// Package installation is a folder on a machine that Tenure runs in: its
// settings, its systems file, its store, its keystore and its socket, opened
// together.
//
//	tenure.yaml    settings; may be absent
//	systems.yaml   the systems and how to reach them
//	tenure.db      the store, unless the settings name a PostgreSQL one
//	keys/          the keystore; keep it out of the store's backups
//	handover/      exports that wait for customers
//	heartbeat.json when the machine's clock was last right
//	ledger         what the log was read to say of the store's rows; may be deleted
//	tenure.sock    while a server runs
package installation

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/clock"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/guard"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/notify"
	"github.com/tenurehq/tenure/internal/secret"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/telemetry"
	"github.com/tenurehq/tenure/internal/trigger"
	"github.com/tenurehq/tenure/internal/witness"
)

// Settings are tenure.yaml. Every field may be left out.
type Settings struct {
	Store     string           `yaml:"store"`   // path in the folder, or where a postgres:// address is kept
	Vault     *secret.Settings `yaml:"vault"`   // an OpenBao or a Vault that secrets are read from; nil is none
	Keys      string           `yaml:"keys"`    // folder of the keystore
	Witness   string           `yaml:"witness"` // file path or http(s) address that keeps checkpoints elsewhere
	Budget    Budget           `yaml:"budget"`
	Name      string           `yaml:"name"`      // what people are told runs this; default the installation's id
	URL       string           `yaml:"url"`       // the address that people reach this server at
	SignIn    *SignIn          `yaml:"signIn"`    // nil: people come in with one-time codes and tokens alone
	Sessions  Sessions         `yaml:"sessions"`  //
	Elevation Elevation        `yaml:"elevation"` // how long roles for a while last
	Policies  string           `yaml:"policies"`  // folder of Cedar policies that deny further; default policies, if it is there
	// Approvals are what plans need on top of what their blueprint asks for.
	Approvals []tenure.ApprovalRule `yaml:"approvals"`
	Reviews   []ReviewSchedule      `yaml:"reviews"` // access reviews that open by themselves
	Groups    map[string][]string   `yaml:"groups"`  // of persons by name, for what escalates to them
	Notify    Notify                `yaml:"notify"`  // where notices go
	// Events are the systems that tell of events, by name.
	Events map[string]EventSource `yaml:"events"`
	Leave  Leave                  `yaml:"leave"` // whether customers can ask to leave themselves
	// Sought is how long the places of closed tenants are looked at, with their sealed
	// names and keys; zero is two years.
	Sought tenure.Period `yaml:"sought"`
}

// Leave says how customers ask to leave themselves.
type Leave struct {
	Page bool `yaml:"page"` // the public page /leave; it needs url, and notices that are sent
}

func (s Settings) sends() bool {
	return s.Notify.Webhook != nil || len(s.Notify.Targets) > 0 || s.Notify.Log
}

// checkLeave is Invalid where nobody could be sent the links that the page promises.
func (s Settings) checkLeave() error {
	switch {
	case s.Leave.Page && s.URL == "":
		return tenure.Errorf(tenure.Invalid, "tenure.yaml: leave.page needs url, the address that people reach this server at")
	case s.Leave.Page && !s.sends():
		return tenure.Errorf(tenure.Invalid, "tenure.yaml: leave.page needs notify: who asks to leave is sent a link").WithHint("add a mail target, see docs/notices.md")
	}
	return nil
}

// Budget bounds how much may be destroyed in an hour. What isn't given has a default.
type Budget struct {
	Person    *int `yaml:"person"`    // destructive operations by one person
	Blueprint *int `yaml:"blueprint"` // and under one blueprint
}

func (b Budget) read() (out lifecycle.Budget, err error) {
	for _, limit := range []struct {
		name string
		set  *int
		into *int
	}{{"person", b.Person, &out.Person}, {"blueprint", b.Blueprint, &out.Blueprint}} {
		if limit.set == nil {
			continue
		}
		if *limit.into = *limit.set; *limit.into < 1 {
			return out, tenure.Errorf(tenure.Invalid, "budget: %s is %d, and must be at least 1", limit.name, *limit.into).WithHint("leave it out for the default")
		}
	}
	return out, nil
}

// Systems is systems.yaml.
type Systems struct {
	Systems map[string]System `yaml:"systems"`
}

// System is one system's entry in systems.yaml. A value that begins with env:, file: or
// vault: is read from there; secret options are given in no other way.
type System struct {
	Connector string            `yaml:"connector"`
	Options   map[string]string `yaml:"options"`
	Limit     int               `yaml:"limit"`
	Prices    map[string]int64  `yaml:"prices"` // minor units a month
	Currency  string            `yaml:"currency"`
	Region    string            `yaml:"region"`  // where it stands, as plans say it
	Dormant   tenure.Period     `yaml:"dormant"` // how long accounts may go without a sign-in; default P90D
	Rotate    tenure.Period     `yaml:"rotate"`  // when its credential is due for rotation; default never
	Owner     string            `yaml:"owner"`   // who answers for its credential; default who added it
}

// Options say how to open an installation.
type Options struct {
	Dir      string
	ReadOnly bool
	Now      clock.Virtual // nil: the machine's clock
	Catalog  []Connector   // nil: every connector that there is
	Measure  *telemetry.Telemetry
	Log      *slog.Logger // of what goes on by itself; nil: nowhere
}

// Open opens the installation in a folder. One that isn't there is NotFound.
func Open(ctx context.Context, o Options) (*Installation, error) {
	set, err := readSettings(o.Dir)
	if err != nil {
		return nil, err
	}
	return open(ctx, o, set, false)
}

// Installation is an opened folder.
type Installation struct {
	*lifecycle.Service
	Governor *governance.Governor
	DB       *store.DB
	Keys     *keystore.Store
	Settings Settings
	Policies *guard.Live // what denies further; read again by its Reload
	Notices  *notify.Notifier
	Events   *trigger.Intake
	Measure  *telemetry.Telemetry // nil: nothing is measured
	Dir      string

	watcher *governance.Watcher
}

// Close closes what Open opened.
func (i *Installation) Close() error {
	// A system that heeds no end keeps nobody from ending.
	ended := make(chan error, 1)
	go func() {
		i.Keys.Note(context.Background()) // a store that is older than this isn't the one that was in use last
		i.Service.Close()
		ended <- i.DB.Close()
	}()
	select {
	case err := <-ended:
		return err
	case <-time.After(closeWithin):
		return tenure.Errorf(tenure.Unavailable, "a system or the store didn't close within %s", closeWithin)
	}
}

// closeWithin is how long closing waits for the connections to systems.
const closeWithin = 5 * time.Second

// Socket is where a server of this installation listens.
func Socket(dir string) string { return filepath.Join(dir, "tenure.sock") }

// Init makes an installation in a folder: its id, its keystore with the signing
// key, its store, and examples of the two settings files. One that is there
// already is Conflict.
func Init(ctx context.Context, o Options, settings Settings) (*Installation, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "installation folder: %w", err)
	}
	from, err := settings.secrets(time.Now)
	if err != nil {
		return nil, err
	}
	set, err := settings.withDefaults(ctx, from, o.Dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(set.Keys); err == nil {
		return nil, tenure.Errorf(tenure.Conflict, "there is an installation in %s already", o.Dir)
	}
	now := time.Now
	if o.Now != nil {
		now = o.Now
	}
	id := tenure.NewID[tenure.InstallationID](now())
	origin := "tenure-" + strings.TrimPrefix(string(id), "ins_")
	if _, err := keystore.Init(ctx, set.Keys, keystore.Options{Origin: origin, Now: now}); err != nil {
		return nil, err
	}
	if err := writeFiles(o.Dir, settings); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Options{DSN: set.Store})
	if err != nil {
		return nil, err
	}
	err = db.SetMeta(ctx, "installation", string(id))
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	return open(ctx, o, settings, true)
}

// withDefaults has the places that the settings name. An address that can't be read from
// where it is kept is Invalid: a file of that name would be another store, an empty one.
func (s Settings) withDefaults(ctx context.Context, from *secret.Reader, dir string) (Settings, error) {
	in := func(path, other string) string {
		if path == "" {
			path = other
		}
		if filepath.IsAbs(path) || strings.Contains(path, "://") {
			return path
		}
		return filepath.Join(dir, path)
	}
	store, _, err := indirect(ctx, from, s.Store)
	if err != nil {
		return s, fmt.Errorf("settings: store: %w", err)
	}
	s.Store, s.Keys = in(store, "tenure.db"), in(s.Keys, "keys")
	return s, nil
}

// clockOf is the clock of an installation: the one that somebody sets or, held against
// the folder's heartbeat, the machine's.
func clockOf(o Options, fresh bool) clock.Clock {
	if o.Now != nil {
		return o.Now
	}
	return clock.Open(clock.Options{File: filepath.Join(o.Dir, "heartbeat.json"), New: fresh, ReadOnly: o.ReadOnly})
}

func open(ctx context.Context, o Options, settings Settings, fresh bool) (*Installation, error) {
	ticks := clockOf(o, fresh)
	now := ticks.Now
	from, err := settings.secrets(now)
	if err != nil {
		return nil, err
	}
	set, err := settings.withDefaults(ctx, from, o.Dir)
	if err != nil {
		return nil, err
	}
	keys, err := keystore.Open(set.Keys, keystore.Options{Now: now})
	if err != nil {
		if tenure.CodeOf(err) == tenure.NotFound {
			return nil, tenure.Errorf(tenure.NotFound, "there is no installation in %s", o.Dir).WithHint("make one: tenure init --dir %s", o.Dir)
		}
		return nil, err
	}
	connectors, err := Connectors(o.Dir, o.Catalog)
	if err != nil {
		return nil, err
	}
	systems, err := readSystems(o.Dir)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Options{DSN: set.Store, ReadOnly: o.ReadOnly, Ledger: filepath.Join(o.Dir, "ledger")})
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*Installation, error) { _ = db.Close(); return nil, err }
	id, err := db.Meta(ctx, "installation")
	if err != nil {
		return fail(err)
	}
	if id == "" {
		return fail(tenure.Errorf(tenure.Conflict, "the store in %s belongs to no installation", o.Dir))
	}
	var w witness.Witness
	if set.Witness != "" {
		if w, err = witness.Open(set.Witness); err != nil {
			return fail(err)
		}
	}
	if err := checkApprovals(set.Approvals, set.Groups); err != nil {
		return fail(err)
	}
	budget, err := set.Budget.read()
	if err == nil {
		err = set.checkLeave()
	}
	if err != nil {
		return fail(err)
	}
	host, _ := os.Hostname()
	var calls connector.Observer
	if o.Measure != nil {
		calls = o.Measure.Call
		o.Measure.Store(db)
	}
	svc, err := lifecycle.New(ctx, lifecycle.Options{
		DB: db, Keys: keys, Catalog: connectors, Installation: tenure.InstallationID(id), Settings: systems, Secrets: from,
		Folder: filepath.Join(o.Dir, "handover"), Now: now, Clock: ticks, Witness: w, WitnessName: witness.Name(set.Witness), SoughtFor: set.Sought,
		Budget:    budget,
		Approvals: set.Approvals, Groups: set.Groups, Calls: calls, URL: set.URL, Language: set.Notify.Language, Ahead: set.Notify.Ahead, Sends: set.sends(),
		Owner: fmt.Sprintf("%s/%d/%d", host, os.Getpid(), time.Now().UnixNano()),
	})
	if err != nil {
		return fail(err)
	}
	policies, err := guard.Watch(policiesFolder(o.Dir, set))
	if err != nil {
		return fail(err)
	}
	gov, err := governor(ctx, from, db, svc, policies, set, now)
	if err != nil {
		return fail(err)
	}
	svc.Govern(gov.Decide)
	if o.Measure != nil {
		svc.Engine.Observe = o.Measure.Step
	}
	notices, err := set.Notify.notifier(ctx, db, o.Log, from, cmp.Or(set.URL, "urn:tenure:installation:"+id), set.Groups)
	if err != nil {
		return fail(err)
	}
	sources, err := set.sources(ctx, from)
	if err != nil {
		return fail(err)
	}
	told := trigger.Options{DB: db, Service: svc, Sources: sources, Leave: set.Leave.Page, Log: o.Log}
	if o.Measure != nil {
		told.Count, told.Refused = o.Measure.Event, o.Measure.EventRefused
	}
	events, err := trigger.New(told)
	if err != nil {
		return fail(err)
	}
	heed(ticks, o.Log)
	watcher := gov.Watcher()
	limits, err := set.Elevation.limits()
	if err != nil {
		return fail(err)
	}
	for _, source := range inboxes(gov, svc, events, limits.WithDefaults()) {
		svc.AddInbox(source)
	}
	return &Installation{Service: svc, Governor: gov, Policies: policies, Notices: notices, Events: events, Measure: o.Measure, watcher: watcher, DB: db, Keys: keys, Settings: set, Dir: o.Dir}, nil
}

// heed notes that the time is right up to now, or says that it is in doubt. A heartbeat
// that can't be written stops nobody: the next start asks about the time.
func heed(at clock.Clock, log *slog.Logger) {
	err := at.Beat()
	if log == nil {
		return
	}
	if d := at.Doubt(); d != nil {
		log.Warn("the time is in doubt", "why", d.String(), "next", "look at another clock, set this one right, then: tenure clock confirm")
	}
	if err != nil {
		log.Error("heartbeat", "code", tenure.CodeOf(err), "error", err)
	}
}

func readSettings(dir string) (Settings, error) {
	var s Settings
	err := readYAML(filepath.Join(dir, "tenure.yaml"), &s)
	if tenure.CodeOf(err) == tenure.NotFound {
		err = nil
	}
	return s, err
}

// readYAML reads a file strictly; errors show the line.
func readYAML(path string, into any) error {
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return tenure.Errorf(tenure.NotFound, "there is no %s", path)
	}
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "read %s: %w", path, err)
	}
	if len(strings.TrimSpace(string(b))) == 0 {
		return nil
	}
	if err := yaml.UnmarshalWithOptions(b, into, yaml.DisallowUnknownField(), yaml.CustomUnmarshaler(integer[int]), yaml.CustomUnmarshaler(integer[int64]), yaml.CustomUnmarshaler(duration)); err != nil {
		return tenure.Errorf(tenure.Invalid, "%s: %s", filepath.Base(path), yaml.FormatError(err, false, true))
	}
	return checkBlanks(filepath.Base(path), b)
}

// integer reads a whole number that fits; YAML's reader would round others.
func integer[T int | int64](into *T, b []byte) error {
	n, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSpace(string(b)), "_", ""), 0, strconv.IntSize)
	if err != nil {
		return fmt.Errorf("%q is no whole number that fits", strings.TrimSpace(string(b)))
	}
	*into = T(n)
	return nil
}

// duration reads how long something lasts: none at all is what leaving it out isn't.
func duration(into *time.Duration, b []byte) error {
	text := strings.Trim(strings.TrimSpace(string(b)), `"'`)
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is no duration such as 30m or 12h; leave it out for the default", text)
	}
	*into = d
	return nil
}
