package mysql

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var (
	_ connector.Staller   = (*Driver)(nil)
	_ connector.Unstaller = (*Driver)(nil)
)

// Stall is described at connector.Staller: events of the scheduler's that change or delete
// rows of tables in which something is held are disabled. One whose text can't be read, and
// that names none of these, is said and goes on.
func (d *Driver) Stall(ctx context.Context, r connector.Ref, keep []connector.Kept) (out []connector.Stalled, err error) {
	k, err := d.kind(r.Type)
	if err != nil {
		return nil, coded(err)
	}
	h, ok := k.(holder)
	if !ok {
		return nil, nil
	}
	err = d.with(ctx, func(s *session) error {
		out = nil
		e, there, err := estateThere(ctx, s, h, r)
		if err != nil || !there {
			return err
		}
		risk, err := e.AtRisk(nowPlaced(e.Holding, keep))
		if err != nil {
			return err
		}
		for _, g := range e.c.events {
			does, told := g.takes(risk)
			if does == "" {
				continue
			}
			one := connector.Stalled{Rule: "event " + g.schema + "." + g.name, Says: does}
			if !told {
				out = append(out, one)
				continue
			}
			was, definer, err := readEvent(ctx, s, g.schema, g.name)
			if err != nil {
				return err
			}
			user, host, _ := cutLast(definer, "@")
			one.Was = was
			if err := s.run(ctx, "alter definer = "+ticked(user)+"@"+ticked(host)+" event "+ticked(g.schema, g.name)+" disable"); err != nil {
				if code := tenure.CodeOf(coded(err)); code == tenure.Unavailable {
					return err
				}
				one.Says += ", and can't be disabled: " + coded(err).Error()
				out = append(out, one)
				continue
			}
			one.Is, one.Suspended = "DISABLED\n"+strings.TrimPrefix(was, "ENABLED\n"), true
			out = append(out, one) // also if it can't be read back
			is, _, err := readEvent(ctx, s, g.schema, g.name)
			if err != nil {
				return err
			}
			out[len(out)-1].Is, out[len(out)-1].Suspended = is, strings.HasPrefix(is, "DISABLED\n")
		}
		return nil
	})
	return out, coded(err)
}

// takes says what an event does to tables in which something is held; "" if nothing. Told
// says that it is sure to be about these.
func (g trigger) takes(risk []relational.TableName) (does string, told bool) {
	for _, w := range g.writes {
		if w.verb == "insert" {
			continue
		}
		for _, n := range risk {
			if strings.EqualFold(n.Schema, w.table.Schema) && strings.EqualFold(n.Name, w.table.Name) {
				return "it would " + w.verb + " rows of " + n.String() + ", where something is held", true
			}
		}
	}
	if g.odd == "" {
		return "", false
	}
	for _, n := range risk {
		if slices.Contains(g.names, strings.ToLower(n.Name)) {
			return "it holds " + g.odd + " and names " + n.String() + ", where something is held", true
		}
	}
	return "it holds " + g.odd + ", and whether that takes what is held can't be told: it goes on", false
}

// readEvent is all that decides when an event runs and what it does, with its status on
// the first line, and its definer; blank if it isn't there.
func readEvent(ctx context.Context, s *session, schema, name string) (text, definer string, err error) {
	err = each(ctx, s, `select concat_ws(char(10), status, event_type, coalesce(execute_at, ''), coalesce(interval_value, ''), coalesce(interval_field, ''), coalesce(starts, ''), coalesce(ends, ''), on_completion, time_zone, sql_mode, definer, event_definition), definer
 from information_schema.events where binary event_schema = `+literal(schema)+" and binary event_name = "+literal(name), nil, &text, &definer)
	return text, definer, err
}

// Unstall is described at connector.Unstaller.
func (d *Driver) Unstall(ctx context.Context, _ connector.Ref, was connector.Stalled) error {
	place, ok := strings.CutPrefix(was.Rule, "event ")
	if !ok {
		return tenure.Errorf(tenure.Internal, "%q is no rule of this connector's", was.Rule)
	}
	return coded(d.with(ctx, func(s *session) error {
		schema, name, err := d.eventAt(ctx, s, place)
		if err != nil {
			return err
		}
		is, definer, err := readEvent(ctx, s, schema, name)
		switch {
		case err != nil:
			return err
		case is == was.Was:
			return nil
		case is != was.Is:
			return tenure.Errorf(tenure.Conflict, "%s was changed or dropped while a hold had suspended it", was.Rule).WithHint("look at it: it was\n%s", was.Was)
		}
		user, host, _ := cutLast(definer, "@")
		return s.run(ctx, "alter definer = "+ticked(user)+"@"+ticked(host)+" event "+ticked(schema, name)+" enable")
	}))
}

// eventAt finds an event by its schema and name with a dot between; blank if there is none.
func (d *Driver) eventAt(ctx context.Context, s *session, place string) (schema, name string, err error) {
	err = each(ctx, s, "select event_schema, event_name from information_schema.events where binary concat(event_schema, '.', event_name) = "+literal(place), nil, &schema, &name)
	return schema, name, err
}
