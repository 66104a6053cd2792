package mysql

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var (
	_ connector.ExpiryLister = (*Driver)(nil)
	_ connector.Staller      = (*Driver)(nil)
	_ connector.Unstaller    = (*Driver)(nil)
)

// Expiries is described at connector.ExpiryLister: events of the scheduler's that change or
// delete rows of tables in which something is held would be disabled. One whose text can't
// be read, and that names none of these, is said and goes on.
func (d *Driver) Expiries(ctx context.Context, r connector.Ref, keep []connector.Kept, suspended []connector.Stalled) (out []connector.Stalled, err error) {
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
		all, around, err := d.schedule(ctx, s, suspended)
		if err != nil {
			return err
		}
		for _, g := range all {
			does, told := around.takes(g, risk, nil)
			if does == "" {
				continue
			}
			one := connector.Stalled{Rule: "event " + g.schema + "." + g.name, Says: does}
			if !told {
				out = append(out, one)
				continue
			}
			_, was, err := readEvent(ctx, s, g.schema, g.name)
			if err != nil {
				return err
			}
			was = connector.AsItWas(suspended, one.Rule, was)
			if schedule, on := strings.CutPrefix(was, "ENABLED\n"); on {
				one.Was, one.Is = was, "DISABLED\n"+schedule
				out = append(out, one)
			}
		}
		return nil
	})
	return out, coded(err)
}

// Stall is described at connector.Staller.
func (d *Driver) Stall(ctx context.Context, _ connector.Ref, one connector.Stalled) (out connector.Stalled, err error) {
	err = d.with(ctx, func(s *session) (err error) {
		out, err = d.ruleOf(ctx, s, one).Stall(one)
		return err
	})
	return out, coded(err)
}

// Unstall is described at connector.Unstaller. An event that was to run once isn't put back
// after its moment: the server would drop it without a word.
func (d *Driver) Unstall(ctx context.Context, _ connector.Ref, was connector.Stalled) error {
	return coded(d.with(ctx, func(s *session) error { return d.ruleOf(ctx, s, was).Unstall(was) }))
}

func (d *Driver) ruleOf(ctx context.Context, s *session, one connector.Stalled) connector.Standing {
	var g event
	return connector.Standing{
		Read: func() (is string, err error) { g, is, err = d.eventOf(ctx, s, one); return is, err },
		Off:  func(is string) bool { return strings.HasPrefix(is, "DISABLED\n") },
		Set: func(on bool) error {
			if on && g.over {
				return tenure.Errorf(tenure.Conflict, "%s was to run once, and its moment passed while a hold had suspended it", one.Rule).WithHint("run it by hand if that is still wanted: it was\n%s", one.Was)
			}
			return coded(g.alter(ctx, s, map[bool]string{true: "enable", false: "disable"}[on]))
		},
	}
}

// event is what an event keeps of the session that made it.
type event struct {
	schema, name, definer string
	charset, collation    string // of the client and the connection: its text is read and its texts compare by these
	over                  bool   // it was to run once, and the moment has passed
}

// alter switches an event on or off. The server takes whose it is, its character set and
// its collation from the session that alters it, so they are set to what they are.
func (g event) alter(ctx context.Context, s *session, to string) (err error) {
	var charset, collation string
	if err := each(ctx, s, "select @@character_set_client, @@collation_connection", nil, &charset, &collation); err != nil {
		return err
	}
	set := func(charset, collation string) error {
		return s.run(ctx, "set character_set_client = "+literal(charset)+", collation_connection = "+literal(collation))
	}
	user, host, _ := cutLast(g.definer, "@")
	text := "alter definer = " + ticked(user) + "@" + ticked(host) + " event " + ticked(g.schema, g.name) + " " + to
	for _, r := range text {
		if r > unicode.MaxASCII && !strings.HasPrefix(g.charset, "utf8") { // the statement itself would be read by that character set
			return tenure.Errorf(tenure.Invalid, "its name or its owner's isn't plain ASCII, and it was made in the character set %s", g.charset)
		}
	}
	if err := set(g.charset, g.collation); err != nil {
		return err
	}
	defer func() {
		if back := set(charset, collation); err == nil {
			err = back
		}
	}()
	return s.run(ctx, text)
}

// around is what makes a statement reach other tables than the one that it names.
type around struct {
	triggers map[relational.TableName][]trigger
	views    map[relational.TableName][]string // the names and words of each one's definition
}

// folded is a name as it compares where letters' case doesn't count.
func folded(n relational.TableName) relational.TableName {
	return relational.TableName{Schema: strings.ToLower(n.Schema), Name: strings.ToLower(n.Name)}
}

// schedule reads the events that are on, or suspended, of every database but Tenure's own and the
// server's, with what is around them: an event may write to another database.
func (d *Driver) schedule(ctx context.Context, s *session, suspended []connector.Stalled) (all []trigger, a around, err error) {
	a = around{map[relational.TableName][]trigger{}, map[relational.TableName][]string{}}
	var schema, name, text string
	var schemas []string
	on := "(" + eventsOn
	for _, e := range suspended {
		on += " or binary concat('event ', event_schema, '.', event_name) = " + literal(e.Rule)
	}
	on += ")"
	if err := each(ctx, s, "select distinct event_schema from information_schema.events where "+on+" and event_schema not in ('mysql', 'sys', "+literal(d.keep)+") order by binary event_schema", func() error {
		schemas = append(schemas, schema)
		return nil
	}, &schema); err != nil || len(schemas) == 0 {
		return nil, a, err
	}
	if all, err = readEvents(ctx, s, schemas, on); err != nil {
		return nil, a, err
	}
	triggers, err := readTriggers(ctx, s, "trigger_schema not in ('mysql', 'sys', "+literal(d.keep)+")")
	if err != nil {
		return nil, a, err
	}
	for _, g := range triggers {
		a.triggers[folded(g.table)] = append(a.triggers[folded(g.table)], g)
	}
	err = each(ctx, s, "select table_schema, table_name, view_definition from information_schema.views where table_schema not in ('mysql', 'sys')", func() error {
		var g trigger
		g.read(text, "")
		a.views[folded(relational.TableName{Schema: schema, Name: name})] = g.names
		return nil
	}, &schema, &name, &text)
	return all, a, err
}

// takes says what an event, or a trigger that it sets off, does to tables in which
// something is held; "" if nothing. Told says that it is sure to be about these.
func (a around) takes(g trigger, risk []relational.TableName, seen []relational.TableName) (does string, told bool) {
	for _, w := range g.writes {
		at := folded(w.table)
		changes := w.verb != "insert" || slices.Contains(g.names, "duplicate") // on duplicate key update
		for _, n := range risk {
			switch {
			case changes && folded(n) == at:
				return "it would " + w.verb + " rows of " + n.String() + ", where something is held", true
			case changes && a.sees(at, n, nil):
				return "it would " + w.verb + " rows of " + w.table.String() + ", a view of " + n.String() + ", where something is held", true
			}
		}
		if slices.Contains(seen, at) {
			continue
		}
		for _, t := range a.triggers[at] {
			if does, told := a.takes(t, risk, append(seen, at)); told {
				return "it sets off trigger " + t.schema + "." + t.name + ": " + does, true
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
		if slices.Contains(g.names, "drop") && (slices.Contains(g.names, "database") || slices.Contains(g.names, "schema")) && slices.Contains(g.names, strings.ToLower(n.Schema)) {
			return "it holds " + g.odd + " and names the database of " + n.String() + ", where something is held", true
		}
		for v := range a.views {
			if slices.Contains(g.names, v.Name) && a.sees(v, n, nil) {
				return "it holds " + g.odd + " and names a view of " + n.String() + ", where something is held", true
			}
		}
	}
	return "it holds " + g.odd + ", and whether that takes what is held can't be told: it goes on", false
}

// sees says whether a view, or one that it is made from, names a table.
func (a around) sees(view, table relational.TableName, seen []relational.TableName) bool {
	words, is := a.views[view]
	if !is || slices.Contains(seen, view) {
		return false
	}
	if slices.Contains(words, strings.ToLower(table.Name)) {
		return true
	}
	for v := range a.views {
		if v != view && slices.Contains(words, v.Name) && a.sees(v, table, append(seen, view)) {
			return true
		}
	}
	return false
}

// readEvent is all that decides when an event runs and what it does, with its status on
// the first line; blank if it isn't there.
func readEvent(ctx context.Context, s *session, schema, name string) (g event, text string, err error) {
	g.schema, g.name = schema, name
	over := "" // times are shown in the event's own time zone
	err = each(ctx, s, `select concat_ws(char(10), status, event_type, coalesce(execute_at, ''), coalesce(interval_value, ''), coalesce(interval_field, ''), coalesce(starts, ''), coalesce(ends, ''), on_completion, time_zone, sql_mode, definer, character_set_client, collation_connection, event_definition),
 definer, character_set_client, collation_connection, if(execute_at <= convert_tz(now(), @@time_zone, time_zone), 'over', '')
 from information_schema.events where binary event_schema = `+literal(schema)+" and binary event_name = "+literal(name), nil, &text, &g.definer, &g.charset, &g.collation, &over)
	g.over = over != ""
	return g, text, err
}

// eventOf finds the event of a rule and reads it; blank if it isn't there.
func (d *Driver) eventOf(ctx context.Context, s *session, one connector.Stalled) (g event, text string, err error) {
	place, ok := strings.CutPrefix(one.Rule, "event ")
	if !ok {
		return g, "", tenure.Errorf(tenure.Internal, "%q is no rule of this connector's", one.Rule)
	}
	err = each(ctx, s, "select event_schema, event_name from information_schema.events where binary concat(event_schema, '.', event_name) = "+literal(place), nil, &g.schema, &g.name)
	if err == nil && g.name != "" {
		return readEvent(ctx, s, g.schema, g.name)
	}
	return g, "", err
}
