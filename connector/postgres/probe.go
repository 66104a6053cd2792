package postgres

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

func probes() []connector.ProbeKind {
	return []connector.ProbeKind{
		{Name: "reachable", Help: "a login with the role's own credential works, and select 1 answers", Types: []string{"role"}},
		{Name: "isolation", Help: "as the role: the sentinel neighbour is refused, no other tenant's schema or database may be used, and of shared tables no row of another key is seen", Types: []string{"role"}},
		{Name: "environment", Help: "the role's credential is refused on the second resource, of another environment", Types: []string{"role"}},
		{Name: "exposure", Help: "nothing of it is granted to PUBLIC, and a fresh role can't use it", Types: []string{"database", "schema"}},
		{Name: "encryption", Help: "where the profile requires encryption in transit: this connection has it, and one without it is refused", Types: []string{"role"}},
		{Name: "sql", Help: "params query, as (tenant or platform), expect (rows, no-rows, refused or value) and value: a query that must answer so; it runs read-only, and reads what a tenant owns with that tenant's rights", SQL: []string{"query"}},
	}
}

// Probe is described at connector.Prober.
func (d *Driver) Probe(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	switch c.Kind {
	case "reachable":
		o, err = d.probeReachable(ctx, c)
	case "isolation":
		o, err = d.probeIsolation(ctx, c)
	case "environment":
		o, err = d.probeEnvironment(ctx, c)
	case "exposure":
		o, err = d.probeExposure(ctx, c)
	case "encryption":
		o, err = d.probeEncryption(ctx, c)
	case "sql":
		o, err = d.probeSQL(ctx, c)
	default:
		err = tenure.Errorf(tenure.Invalid, "postgres has no probe %q", c.Kind)
	}
	if err != nil {
		return connector.Outcome{}, coded(err)
	}
	return o, nil
}

func passed(detail string) (connector.Outcome, error) {
	return connector.Outcome{Passed: true, Detail: detail}, nil
}

func failed(detail string) (connector.Outcome, error) {
	return connector.Outcome{Detail: detail}, nil
}

// as logs in as a role, to a database ("" is the system's own).
func (d *Driver) as(ctx context.Context, role string, password tenure.Secret, db string) (*session, error) {
	conf := d.sessionConfig()
	conf.User, conf.Password = role, password.Reveal()
	if db != "" {
		conf.Database = db
	}
	conn, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return nil, err
	}
	return &session{conn: conn}, nil
}

func (s *session) close(ctx context.Context) { _ = s.conn.Close(context.WithoutCancel(ctx)) }

// refusal says whether an error is the server's no to what was tried, and not
// a failure to try it.
func refusal(err error) bool {
	switch state(err) {
	case "42501", "28P01", "28000", "3D000", "55000", "53300":
		return state(err) != "53300" && state(err) != "55000" || strings.Contains(err.Error(), "not currently accepting")
	}
	return false
}

// tenant is a session as the checked role; the role's own credential is needed.
func (d *Driver) tenant(ctx context.Context, c connector.Check) (*session, error) {
	if c.Ref.Type != "role" {
		return nil, tenure.Errorf(tenure.Invalid, "probe %s acts as a role, and %s %q is none", c.Kind, c.Ref.Type, c.Ref.Name)
	}
	if c.Credential.IsZero() {
		return nil, tenure.Errorf(tenure.Invalid, "probe %s of role %q needs its credential", c.Kind, c.Ref.Name)
	}
	return d.as(ctx, c.Ref.Name, c.Credential, "")
}

func (d *Driver) probeReachable(ctx context.Context, c connector.Check) (connector.Outcome, error) {
	s, err := d.tenant(ctx, c)
	if refusal(err) {
		return failed("the login of role " + c.Ref.Name + " is refused")
	}
	if err != nil {
		return connector.Outcome{}, err
	}
	defer s.close(ctx)
	if _, err := s.Exec(ctx, "select 1"); err != nil {
		return connector.Outcome{}, err
	}
	return passed("role " + c.Ref.Name + " logged in and select 1 answered")
}

// probeExposure reads what PUBLIC may do, and tries a role that was just made.
func (d *Driver) probeExposure(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	var sql string
	switch c.Ref.Type {
	case "schema":
		sql = `select 'schema ' || n.nspname from pg_namespace n, aclexplode(n.nspacl) x where x.grantee = 0 and n.nspname = ` + literal(c.Ref.Name) + `
union all select c.relname from pg_namespace n join pg_depend d on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid and d.classid = 'pg_class'::regclass
 join pg_class c on c.oid = d.objid, aclexplode(c.relacl) x where x.grantee = 0 and n.nspname = ` + literal(c.Ref.Name) + `
union all select p.proname || '()' from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.prosecdef
 and exists (select 1 from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x where x.grantee = 0) and n.nspname = ` + literal(c.Ref.Name) + `
 and (p.proacl is not null or exists (select 1 from aclexplode(n.nspacl) u where u.privilege_type = 'USAGE' and u.grantee <> n.nspowner)) limit 5` // what nobody else may look into is closed
	case "database":
		sql = `select 'database ' || b.datname from pg_database b, aclexplode(coalesce(b.datacl, acldefault('d', b.datdba))) x where x.grantee = 0 and b.datname = ` + literal(c.Ref.Name) + ` limit 1`
	default:
		return o, tenure.Errorf(tenure.Invalid, "probe exposure is for a schema or a database, and %q is a %s", c.Ref.Name, c.Ref.Type)
	}
	err = d.with(ctx, func(s *session) error {
		exposed, err := textsOf(ctx, s, sql)
		if err != nil {
			return err
		}
		if len(exposed) > 0 {
			o, err = failed("PUBLIC has rights on " + strings.Join(exposed, ", "))
			return err
		}
		o, err = d.stranger(ctx, s, c.Ref)
		return err
	})
	return o, err
}

// stranger makes a role that nobody granted anything, tries the thing as it and
// drops it again.
func (d *Driver) stranger(ctx context.Context, s *session, r connector.Ref) (o connector.Outcome, err error) {
	name := "tenure_probe_" + strings.ToLower(rand.Text())
	password := tenure.NewSecret(rand.Text())
	set, err := verifier(password)
	if err != nil {
		return o, err
	}
	if err := s.simple(ctx, "create role "+quote(name)+" login password "+literal(set), nil); err != nil {
		return o, err
	}
	defer func() {
		if drop := s.simple(context.WithoutCancel(ctx), "drop role "+quote(name), nil); err == nil {
			err = drop
		}
	}()
	db := ""
	if r.Type == "database" {
		db = r.Name
	}
	// The right itself is read with Tenure's login, also where the role can't connect.
	may := func(s *session) (bool, connector.Outcome, error) {
		use, err := textsOf(ctx, s, "select has_schema_privilege("+literal(name)+", n.oid, 'usage')::text from pg_namespace n where n.nspname = "+literal(r.Name))
		switch {
		case err != nil:
			return false, connector.Outcome{}, err
		case len(use) == 0:
			return false, connector.Outcome{Detail: "schema " + r.Name + " isn't there"}, nil
		case use[0] == "true":
			return false, connector.Outcome{Detail: "a fresh role may use schema " + r.Name}, nil
		}
		return true, connector.Outcome{}, nil
	}
	t, err := d.as(ctx, name, password, db)
	if err != nil {
		if r.Type == "schema" && state(err) == "42501" { // it may not CONNECT
			if closed, o, err := may(s); !closed || err != nil {
				return o, err
			}
			return passed("a fresh role can't connect to the database, and PUBLIC has no rights in schema " + r.Name)
		}
		if r.Type == "database" && refusal(err) {
			return passed("a fresh role can't connect to database " + r.Name + ", and PUBLIC has no rights on it")
		}
		return o, err
	}
	defer t.close(ctx)
	if r.Type == "database" {
		return failed("a fresh role can connect to database " + r.Name)
	}
	if closed, o, err := may(t); !closed || err != nil {
		return o, err
	}
	return passed("a fresh role may not use schema " + r.Name + ", and PUBLIC has no rights in it")
}

// probeEncryption tries a connection without TLS where the profile requires it.
func (d *Driver) probeEncryption(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	const rest = "PostgreSQL can't say whether its disk is encrypted"
	if c.Encryption.InTransit != "required" {
		return passed("nothing is asked of connections; " + rest)
	}
	on := ""
	err = d.with(ctx, func(s *session) error {
		return s.simple(ctx, "select ssl::text || ' ' || coalesce(version, '') from pg_stat_ssl where pid = pg_backend_pid()", func(_ int, v [][]byte) error {
			on = string(v[0])
			return nil
		})
	})
	if err != nil {
		return o, err
	}
	if !strings.HasPrefix(on, "true") {
		return failed("this connection isn't encrypted")
	}
	conf := d.sessionConfig()
	conf.TLSConfig, conf.Fallbacks = nil, nil
	conn, err := pgx.ConnectConfig(ctx, conf)
	if err == nil {
		_ = conn.Close(ctx)
		return failed("this connection is encrypted, and the server takes one that isn't")
	}
	if !refusal(err) {
		return o, err
	}
	return passed("this connection is encrypted (" + strings.TrimPrefix(on, "true ") + ") and one that isn't is refused; " + rest)
}
