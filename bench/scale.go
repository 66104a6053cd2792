package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	pageLimit   = 50 * time.Millisecond
	fleetLimit  = 100 * time.Millisecond
	memoryLimit = 256 << 20
	pageOverSQL = 2.0
	decideLimit = 100 * time.Microsecond
	loadFor     = 20 * time.Second
	pageSize    = 50
	cedarRules  = 20
)

// scaleBench measures a server over a full store: what a page costs while many are
// asked for, what the server holds, and what of it is the database's own.
func scaleBench(ctx context.Context, e *env) ([]line, error) {
	bin, err := buildTenure(ctx, e)
	if err != nil {
		return nil, err
	}
	lines, err := scaleOn(ctx, e, bin, "sqlite", "")
	if err != nil || e.pg == "" {
		return lines, err
	}
	dsn, err := freshDatabase(ctx, e.pg, "bench_scale")
	if err != nil {
		return nil, err
	}
	defer func() { _ = admin(ctx, e.pg, "drop database if exists bench_scale with (force)") }()
	more, err := scaleOn(ctx, e, bin, "postgres", dsn)
	return append(lines, more...), err
}

func scaleOn(ctx context.Context, e *env, bin, kind, dsn string) ([]line, error) {
	f, err := newFull(ctx, e, kind, dsn)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(f.dir)
	var lines []line
	for _, part := range []func(context.Context, *env) ([]line, error){f.pages, f.decisions, func(ctx context.Context, e *env) ([]line, error) { return f.served(ctx, e, bin) }} {
		some, err := part(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		lines = append(lines, some...)
	}
	return lines, nil
}

// full is an installation with a full store, and who asks it.
type full struct {
	kind, dir string
	dsn       string
	tenants   []tenure.TenantID // some of them, in no order
	business  []tenure.TenantID // of the tier business

	whole, tier, label, writer tenure.Secret // tokens
	session                    tenure.Secret
}

func newFull(ctx context.Context, e *env, kind, dsn string) (*full, error) {
	f := &full{kind: kind, dir: filepath.Join(e.dir, "scale-"+kind), dsn: dsn}
	if err := os.MkdirAll(filepath.Join(f.dir, "policies"), 0o700); err != nil {
		return nil, err
	}
	var set installation.Settings
	if dsn != "" {
		path := filepath.Join(e.dir, "scale.dsn")
		if err := os.WriteFile(path, []byte(dsn), 0o600); err != nil {
			return nil, err
		}
		set.Store = "file:" + path
	}
	if err := os.WriteFile(filepath.Join(f.dir, "policies", "bench.cedar"), []byte(policies()), 0o600); err != nil {
		return nil, err
	}
	inst, err := installation.Init(ctx, installation.Options{Dir: f.dir}, set)
	if err != nil {
		return nil, err
	}
	if err := inst.Close(); err != nil {
		return nil, err
	}
	if f.dsn == "" {
		f.dsn = filepath.Join(f.dir, "tenure.db")
	}
	took, err := timed(func() error { return fill(ctx, f.dsn, e.tenants) })
	if err != nil {
		return nil, err
	}
	fmt.Printf("scale: %d tenants into %s in %s\n", e.tenants, kind, round(took))
	if inst, err = installation.Open(ctx, installation.Options{Dir: f.dir}); err != nil {
		return nil, err
	}
	defer inst.Close()
	return f, f.people(ctx, inst)
}

// policies are as many as a strict platform has; none of them denies what is asked.
func policies() string {
	var b []byte
	for i := range cedarRules {
		b = fmt.Appendf(b, "@id(\"bench-%d\")\nforbid (principal, action, resource)\nwhen { resource is Tenant && resource.tier == \"tier-%d\" && context.hour >= %d };\n", i, i, i)
	}
	return string(b)
}

// people are those who ask: one sees everything, one a tier, one a label.
func (f *full) people(ctx context.Context, inst *installation.Installation) error {
	local := governance.Local("bench")
	sign := func(name string, role tenure.Role, s tenure.Scope) (text tenure.Secret, err error) {
		p, err := inst.Governor.AddPrincipal(ctx, store.Principal{Name: name, Email: name + "@example.com", Kind: tenure.CallerPerson}, local.Name)
		if err != nil {
			return text, err
		}
		if _, err = inst.Governor.Grant(ctx, local, tenure.Grant{Principal: p.ID, Role: role, Scope: s, Reason: "measures"}); err != nil {
			return text, err
		}
		if name == "whole" {
			if _, f.session, err = inst.Governor.NewSession(ctx, p, "oidc", "a browser", true); err != nil {
				return text, err
			}
		}
		_, text, err = inst.Governor.NewToken(ctx, local, name, store.Token{Name: "bench", ExpiresAt: time.Now().Add(24 * time.Hour)})
		return text, err
	}
	var err error
	for _, p := range []struct {
		name string
		role tenure.Role
		s    tenure.Scope
		into *tenure.Secret
	}{
		{"whole", tenure.Viewer, tenure.Scope{All: true}, &f.whole},
		{"tier", tenure.Viewer, tenure.Scope{Tiers: []string{"business"}}, &f.tier},
		{"label", tenure.Viewer, tenure.Scope{Labels: []string{"region=eu"}}, &f.label},
		{"writer", tenure.Operator, tenure.Scope{All: true}, &f.writer},
	} {
		if *p.into, err = sign(p.name, p.role, p.s); err != nil {
			return err
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		at := time.Now().Add(-time.Duration(random.Int64N(int64(fullDays * 24 * time.Hour))))
		page, err := inst.DB.Tenants(ctx, store.TenantFilter{From: at, Limit: 20})
		if err != nil {
			return err
		}
		for _, t := range page {
			if f.tenants = append(f.tenants, t.ID); t.Tier == "business" {
				f.business = append(f.business, t.ID)
			}
		}
	}
	return nil
}

// query is a page's address, from a tenant on.
func (f *full) query(n int, filter string) string {
	v, _ := url.ParseQuery(filter)
	v.Set("limit", fmt.Sprint(pageSize))
	if n%2 == 1 {
		v.Set("after", string(f.tenants[n%len(f.tenants)]))
	}
	return "/v1/tenants?" + v.Encode()
}
