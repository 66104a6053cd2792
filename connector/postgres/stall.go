package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var (
	_ connector.ExpiryLister = (*Driver)(nil)
	_ connector.Staller      = (*Driver)(nil)
	_ connector.Unstaller    = (*Driver)(nil)
)

// job is a line of pg_cron's, as its row is.
type job struct {
	id, name, command, text string
}

const (
	// jobText is all that decides when a job runs and what it does, first whether it is active.
	jobText = `concat_ws(chr(10), active::text, schedule, command, nodename, nodeport::text, database, username)`
	jobsSQL = `select jobid::text, coalesce(jobname, ''), command, ` + jobText + ` from cron.job where database = current_database() and (active%s) order by jobid`

	// What other extensions drop by a schedule of their own.
	partmanSQL   = `select parent_table, coalesce(retention, '') from %s.part_config where retention is not null`
	timescaleSQL = `select hypertable_schema || '.' || hypertable_name, coalesce(config::text, '') from timescaledb_information.jobs where proc_name = 'policy_retention'`
)

// Expiries is described at connector.ExpiryLister: jobs of pg_cron's that name a table in which
// something is held, and do more than read, would be made inactive. What pg_partman and
// TimescaleDB drop by age is said, and goes on.
func (d *Driver) Expiries(ctx context.Context, r connector.Ref, keep []connector.Kept, suspended []connector.Stalled) (out []connector.Stalled, err error) {
	k, err := d.kind(r.Type)
	if err != nil {
		return nil, coded(err)
	}
	h, ok := k.(holder)
	if !ok {
		return nil, nil
	}
	if shared, ok := h.(pools); ok {
		shared.gone = true // what stands there may be held, whether or not the mark is there
		h = shared
	}
	_, err = h.reach(ctx, r, false, func(s *session, at reading) error {
		out = nil
		all, err := at.all(ctx, s)
		if err != nil {
			return err
		}
		risk, err := all.AtRisk(placed(all, keep))
		if err != nil {
			return err
		}
		if err := jobs(ctx, s, risk, suspended, &out); err != nil {
			return err
		}
		return retentions(ctx, s, risk, &out)
	})
	return out, coded(err)
}

// jobs names the jobs that may take what is held.
func jobs(ctx context.Context, s *session, risk []relational.TableName, suspended []connector.Stalled, out *[]connector.Stalled) error {
	if there, err := hasCron(ctx, s); err != nil || !there {
		return err
	}
	also := ""
	for _, e := range suspended {
		also += " or 'pg_cron job ' || jobid = " + literal(e.Rule)
	}
	var all []job
	err := s.simple(ctx, fmt.Sprintf(jobsSQL, also), func(_ int, v [][]byte) error {
		all = append(all, job{string(v[0]), string(v[1]), string(v[2]), string(v[3])})
		return nil
	})
	if err != nil {
		return err
	}
	for _, j := range all {
		if j.text = connector.AsItWas(suspended, "pg_cron job "+j.id, j.text); inactive(j.text) {
			continue
		}
		table, takes := named(j.command, risk)
		if !takes {
			continue
		}
		one := connector.Stalled{Rule: "pg_cron job " + j.id, Was: j.text, Says: "it may change or delete rows of " + table + ", where something is held"}
		if j.name != "" {
			one.Says = "job " + j.name + ": " + one.Says
		}
		if table == "" {
			one.Says = "what it calls can't be told: it goes on"
		} else {
			one.Is = "false" + strings.TrimPrefix(j.text, "true")
		}
		*out = append(*out, one)
	}
	return nil
}

// Stall is described at connector.Staller.
func (d *Driver) Stall(ctx context.Context, _ connector.Ref, one connector.Stalled) (out connector.Stalled, err error) {
	err = d.with(ctx, func(s *session) (err error) {
		out, err = ruleOf(ctx, s, one).Stall(one)
		return err
	})
	return out, coded(err)
}

// Unstall is described at connector.Unstaller.
func (d *Driver) Unstall(ctx context.Context, _ connector.Ref, was connector.Stalled) error {
	return coded(d.with(ctx, func(s *session) error { return ruleOf(ctx, s, was).Unstall(was) }))
}

func ruleOf(ctx context.Context, s *session, one connector.Stalled) connector.Standing {
	id := ""
	return connector.Standing{
		Read: func() (is string, err error) { id, is, err = jobStands(ctx, s, one); return is, err },
		Off:  inactive,
		Set: func(on bool) error {
			return coded(s.atomic(ctx, func(s *session) error {
				return s.simple(ctx, "update cron.job set active = "+strconv.FormatBool(on)+" where jobid = "+id, nil)
			}))
		},
	}
}

func inactive(job string) bool { return strings.HasPrefix(job, "f") }

// theirs are the schemas, in quotes, in which an extension has a relation. One that no
// superuser owns may be a tenant's, with code of the tenant's on it, and isn't touched.
func theirs(ctx context.Context, s *session, relation string) ([]string, error) {
	return textsOf(ctx, s, "select quote_ident(n.nspname) from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles r on r.oid = c.relowner where r.rolsuper and c.relkind in ('r', 'v') and c.relname = "+literal(relation))
}

func hasCron(ctx context.Context, s *session) (bool, error) {
	schemas, err := theirs(ctx, s, "job")
	return slices.Contains(schemas, "cron"), err
}

// jobStands reads the job of a rule as it stands; blank if it isn't there.
func jobStands(ctx context.Context, s *session, one connector.Stalled) (id, text string, err error) {
	id, ok := strings.CutPrefix(one.Rule, "pg_cron job ")
	if _, err := strconv.ParseInt(id, 10, 64); !ok || err != nil {
		return "", "", tenure.Errorf(tenure.Internal, "%q is no rule of this connector's", one.Rule)
	}
	there, err := hasCron(ctx, s)
	if err != nil || !there {
		return id, "", err
	}
	texts, err := textsOf(ctx, s, "select "+jobText+" from cron.job where jobid = "+id)
	return id, strings.Join(texts, ""), err
}

// named says which table in which something is held a command names that does more than
// read; "" and true if it calls what can't be told.
func named(command string, risk []relational.TableName) (table string, takes bool) {
	words := strings.FieldsFunc(strings.ToLower(command), func(r rune) bool {
		return !(r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 0x80)
	})
	has := func(any ...string) bool {
		return slices.ContainsFunc(any, func(w string) bool { return slices.Contains(words, w) })
	}
	for _, n := range risk {
		if slices.Contains(words, strings.ToLower(n.Name)) && (has("delete", "update", "truncate", "drop", "merge", "alter", "call", "do") || strings.Contains(command, "(")) {
			return n.String(), true
		}
	}
	return "", has("call", "do", "drop") || has("select") && strings.Contains(command, "(") && !has("from")
}

// retentions names what other extensions drop by its age.
func retentions(ctx context.Context, s *session, risk []relational.TableName, out *[]connector.Stalled) error {
	schemas, err := theirs(ctx, s, "part_config")
	if err != nil {
		return err
	}
	var asks []string
	for _, schema := range schemas {
		asks = append(asks, strings.Replace(partmanSQL, "%s", schema, 1))
	}
	scale, err := theirs(ctx, s, "jobs")
	if err != nil {
		return err
	}
	if slices.Contains(scale, "timescaledb_information") {
		asks = append(asks, timescaleSQL)
	}
	for i, ask := range asks {
		by := "pg_partman"
		if i >= len(schemas) {
			by = "TimescaleDB"
		}
		err := s.simple(ctx, ask, func(_ int, v [][]byte) error {
			for _, n := range risk {
				if n.String() == string(v[0]) {
					*out = append(*out, connector.Stalled{Rule: by + " retention of " + n.String(), Says: "it drops old parts of the table (" + string(v[1]) + "), where something is held; Tenure doesn't suspend it"})
				}
			}
			return nil
		})
		if state(err) == "42501" {
			*out = append(*out, connector.Stalled{Rule: by + " retention", Says: "Tenure's role may not see what it drops by its age"})
		} else if err != nil {
			return err
		}
	}
	return nil
}
