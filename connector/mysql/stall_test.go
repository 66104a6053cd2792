package mysql

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
)

// Events that would take what is held are disabled as they are, those of others go on, and
// come back when the hold ends unless somebody changed them.
func TestEventsAreSuspendedForAHold(t *testing.T) {
	w := openWorld(t)
	d := w.opened(t, nil)
	w.exec(t, `create table %[1]s.customers (id int primary key, tenant varchar(40)); create table %[1]s.calls (id int auto_increment primary key, tenant varchar(40), customer int, at date, foreign key (customer) references %[1]s.customers (id) on delete cascade);
create table %[1]s.others (id int primary key, at date); create table %[1]s.visits (id int primary key, tenant varchar(40), at date)`, quote(w.app))
	r := made(t, d, w.pool("acme", "acme", map[string]string{"customers": "all", "calls": "all", "visits": "all"}))
	w.exec(t, `create event %[1]s.old_calls on schedule every 1 day starts '2037-01-01' do delete from %[1]s.calls where at < now() - interval 1 year;
create event %[1]s.old_customers on schedule every 1 day starts '2037-01-01' do delete from %[1]s.customers where id < 0;
create event %[1]s.old_visits on schedule every 1 day starts '2037-01-01' do delete from %[1]s.visits where id < 0;
create event %[1]s.rotate on schedule every 1 day starts '2037-01-01' do alter table %[1]s.calls drop partition p1;
create event %[1]s.unread on schedule every 1 day starts '2037-01-01' do call %[1]s.anything();
create event %[1]s.theirs on schedule every 1 day starts '2037-01-01' do delete from %[1]s.others where at < now()`, quote(w.app))
	events := func() (out []string) {
		rows, err := w.db.Query("select concat(event_name, ' ', status, ' ', definer, ' ', character_set_client, ' ', collation_connection) from information_schema.events where event_schema = '" + w.app + "' order by event_name")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			out = append(out, s)
		}
		return out
	}
	other := w.token + "janitor"
	w.exec(t, "create database %[1]s; create event %[1]s.elsewhere on schedule every 1 day starts '2037-01-01' do delete from %[2]s.calls where id < 0", quote(other), quote(w.app))
	w.exec(t, `create view %[1]s.v_calls as select * from %[1]s.calls; create view %[1]s.v_of_view as select * from %[1]s.v_calls; create table %[1]s.bell (id int);
create trigger %[1]s.ring after insert on %[1]s.bell for each row delete from %[1]s.calls where id = -1;
create event %[1]s.by_view on schedule every 1 day starts '2037-01-01' do delete from %[1]s.v_of_view where id < 0;
create event %[1]s.by_trigger on schedule every 1 day starts '2037-01-01' do insert into %[1]s.bell values (1);
create event %[1]s.by_duplicate on schedule every 1 day starts '2037-01-01' do insert into %[1]s.calls (id) values (1) on duplicate key update tenant = 'x';
create event %[1]s.drops on schedule every 1 day starts '2037-01-01' do drop database %[1]s;
create event %[1]s.adds on schedule every 1 day starts '2037-01-01' do insert into %[1]s.others select id, at from %[1]s.calls`, quote(w.app))
	w.exec(t, `set @was_set = @@character_set_client, @was_collation = @@collation_connection; set character_set_client = 'latin1', collation_connection = 'latin1_german1_ci';
create event %[1]s.latin on schedule every 1 day starts '2037-01-01' do delete from %[1]s.calls where dayname(at) = 'SATURDAY';
set character_set_client = @was_set, collation_connection = @was_collation`, quote(w.app))
	before := events()
	keep := []connector.Kept{{Hold: "hld_1", Table: "calls", Rows: []tenure.RowCondition{{Column: "id", Operator: "=", Value: []byte("1")}}}}
	got := connectortest.StallAll(t, d, r, keep)
	state := map[string]bool{}
	for _, one := range got {
		state[strings.TrimPrefix(one.Rule, "event "+w.app+".")] = one.Suspended
		if one.Says == "" {
			t.Errorf("%s isn't explained", one.Rule)
		}
	}
	want := map[string]bool{"old_calls": true, "old_customers": true, "rotate": true, "unread": false, "by_view": true, "by_trigger": true, "by_duplicate": true, "latin": true, "drops": true, "event " + other + ".elsewhere": true}
	for name, suspended := range want {
		if is, named := state[name]; !named || is != suspended {
			t.Errorf("%s: named %v, suspended %v, want %v", name, named, is, suspended)
		}
	}
	if len(state) != len(want) {
		t.Errorf("it names %v", state)
	}
	during := events()
	for i := range during {
		name, _, _ := strings.Cut(during[i], " ")
		if changed := during[i] != before[i]; changed != want[name] || changed && during[i] != strings.Replace(before[i], "ENABLED", "DISABLED", 1) {
			t.Errorf("%q became %q", before[i], during[i])
		}
	}
	if again := connectortest.StallAll(t, d, r, keep); slices.ContainsFunc(again, func(s connector.Stalled) bool { return s.Suspended }) {
		t.Errorf("a second look: %+v", again)
	}
	w.exec(t, "alter event %s.old_customers on schedule every 2 day", quote(w.app))
	for _, one := range got {
		if !one.Suspended {
			continue
		}
		err := d.Unstall(t.Context(), r, one)
		if strings.HasSuffix(one.Rule, "old_customers") {
			refusedBy(t, "an event that somebody changed", err, tenure.Conflict, "old_customers")
		} else if err != nil {
			t.Errorf("%s: %v", one.Rule, err)
		}
	}
	after := events()
	for i := range after {
		if strings.HasPrefix(after[i], "old_customers ") {
			continue
		}
		if after[i] != before[i] {
			t.Errorf("%q came back as %q", before[i], after[i])
		}
	}
	whole := connectortest.StallAll(t, d, r, nil)
	if !slices.ContainsFunc(whole, func(s connector.Stalled) bool { return s.Suspended && strings.HasSuffix(s.Rule, "old_visits") }) {
		t.Errorf("a hold on all of it: %+v", whole)
	}
	// Its moment must come after it is suspended and soon after that: a slow machine gets more time.
	once, rule := connector.Stalled{}, "event "+w.app+".once"
	for seconds := 1; !once.Suspended; seconds *= 2 {
		w.exec(t, fmt.Sprintf("create or replace event %[1]s.once on schedule at now() + interval %[2]d second on completion preserve do delete from %[1]s.visits where id < 0", quote(w.app), seconds))
		found, err := d.Expiries(t.Context(), r, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(found, func(s connector.Stalled) bool { return s.Rule == rule })
		if i >= 0 {
			once, err = d.Stall(t.Context(), r, found[i])
		}
		if (i < 0 || err != nil) && seconds > 30 {
			t.Fatalf("an event that runs once, %d s ahead: %v in %+v", seconds, err, found)
		}
	}
	for past := false; !past; {
		if err := w.db.QueryRowContext(t.Context(), "select execute_at < now() from information_schema.events where event_name = 'once' and event_schema = '"+w.app+"'").Scan(&past); err != nil {
			t.Fatal(err)
		}
	}
	refusedBy(t, "an event whose moment has passed", d.Unstall(t.Context(), r, once), tenure.Conflict, "its moment passed")
}
