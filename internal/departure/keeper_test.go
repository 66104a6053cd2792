package departure

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure/internal/installation"
)

// keeper is a store in which platforms keep what tenants have, seen from outside.
type keeper interface {
	systems() map[string]any         // as a systems file has them
	resources(t *testing.T) []any    // as a blueprint has them
	fill(t *testing.T, r *rand.Rand) // gives each tenant what holds its token
	rows(t *testing.T) []string      // every row, file or object, a line each that begins with its table
	shape(t *testing.T) string       // what there is beside these, save the leaver's own
	raw(t *testing.T) []byte         // all that the store would give away
	class(t *testing.T, table string) string
	announced(line string, before []string) string // a neighbour's line once the leaver has gone
}

// killable is a keeper on a server of the test's own.
type killable interface {
	door() string // what the process that is killed waits for before it goes on
	counter() *counter
	kill(whole bool) bool
	await(t *testing.T)
}

func keeperName(k keeper) string { return strings.TrimPrefix(fmt.Sprintf("%T", k), "*departure.") }

// scene is which stores the platforms have.
type scene struct {
	name    string
	keepers func(t *testing.T) []keeper

	// rules are the data classes and the keys for pseudonyms, where classes aren't simply
	// purged, as a blueprint has them.
	rules map[string]any
}

// classes are those of both platforms, in the order in which they go.
var classes = []string{"activity", "treatment", "people", "accounting", "billing"}

var periods = map[string]string{"activity": "P30D", "treatment": "P30D", "people": "P60D", "accounting": "P8Y", "billing": "P8Y"}

// began is when every story begins.
var began = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

const blueprintName = "platform"

func (c scene) install(t *testing.T) *story {
	t.Helper()
	ctx := t.Context()
	s := &story{dir: t.TempDir(), keepers: c.keepers(t)}
	must(t, s.jump(began))
	systems, doors := map[string]any{}, []string{}
	for _, k := range s.keepers {
		for name, system := range k.systems() {
			systems[name] = s.secret(t, name, system.(map[string]any))
		}
		if k, ok := k.(killable); ok {
			doors = append(doors, k.door())
		}
	}
	must(t, os.WriteFile(s.doors(), []byte(strings.Join(doors, "\n")), 0o600))
	raw, err := json.Marshal(map[string]any{"systems": systems})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.dir, "systems.yaml"), raw, 0o600))
	s.inst, err = installation.Init(ctx, installation.Options{Dir: s.dir, Now: s.now}, installation.Settings{})
	must(t, err)
	s.inst.Engine.Lease = lease
	for system := range systems {
		_, err = s.inst.AddSystem(ctx, system, false, "operator")
		must(t, err)
	}
	_, err = s.inst.SubmitBlueprint(ctx, s.blueprint(t, c.rules), "platform.yaml", "author")
	must(t, err)
	_, err = s.inst.PublishBlueprint(ctx, blueprintName+"@1", "reviewer")
	must(t, err)
	return s
}

// secret puts the options that are secrets into files.
func (s *story) secret(t *testing.T, name string, system map[string]any) map[string]any {
	t.Helper()
	options := system["options"].(map[string]any)
	for _, key := range []string{"dsn", "accessKey", "secretKey", "password", "token", "initialToken", "endSessionsToken"} {
		if v, ok := options[key].(string); ok {
			file := filepath.Join(s.dir, name+"."+key)
			must(t, os.WriteFile(file, []byte(v), 0o600))
			options[key] = "file:" + file
		}
	}
	return system
}

func (s *story) blueprint(t *testing.T, rules map[string]any) []byte {
	t.Helper()
	systems, used, resources := map[string]any{}, map[string]any{}, []any{}
	for _, k := range s.keepers {
		for name, system := range k.systems() {
			systems[name] = map[string]any{"connector": system.(map[string]any)["connector"]}
		}
		for _, r := range k.resources(t) {
			resources = append(resources, r)
			data, _ := r.(map[string]any)["data"].([]any)
			for _, class := range data {
				used[class.(string)] = map[string]any{"disposition": "purge", "retention": []any{map[string]any{"name": "law", "kind": "keep_until", "period": periods[class.(string)], "from": "termination"}}}
			}
		}
	}
	text := map[string]any{
		"apiVersion": "tenure.dev/v1", "kind": "Blueprint", "name": blueprintName, "version": "1",
		"parameters":   map[string]any{"type": "object", "properties": map[string]any{}},
		"environments": []any{map[string]any{"name": "prod", "kind": "production"}},
		"systems":      systems, "dataClasses": used, "resources": resources,
		"failure": "compensate", "approvals": map[string]any{"onboard": 0, "offboard": 1},
		"offboarding": map[string]any{"grace": "P14D", "retrieval": "P30D", "quarantine": "P7D"},
	}
	maps.Copy(text, rules)
	b, err := json.MarshalIndent(text, "", "  ")
	must(t, err)
	return b
}

// scenes are the rounds of the test: each platform in shared tables and in stores of its
// own, on PostgreSQL beside SQLite and on MariaDB beside documents in S3 or in a folder,
// and a tenant that has something in all five.
func scenes() (out []scene) {
	add := func(name string, pooled bool, keepers func(t *testing.T, pooled bool) []keeper) {
		out = append(out, scene{name: name + where(pooled), keepers: func(t *testing.T) []keeper { return keepers(t, pooled) }})
	}
	for _, pooled := range []bool{true, false} {
		for _, p := range []platform{shop, clinic} {
			add(p.name, pooled, func(t *testing.T, pooled bool) []keeper {
				return []keeper{newPostgres(t, p, pooled), newDesk(t, p, pooled)}
			})
			add(p.name+" on MariaDB", pooled, func(t *testing.T, pooled bool) []keeper {
				if pooled == (p.name == "shop") {
					return []keeper{newMariaDB(t, p, pooled), newObjects(t, p, pooled)}
				}
				return []keeper{newMariaDB(t, p, pooled), newObjects(t, p, pooled), newFolder(t, p)}
			})
		}
		add("five", pooled, func(t *testing.T, pooled bool) []keeper {
			return []keeper{newPostgres(t, shop, pooled), newMariaDB(t, clinic, pooled), newDesk(t, shop, pooled), newObjects(t, clinic, pooled), newFolder(t, shop)}
		})
	}
	return out
}

func where(pooled bool) string {
	if pooled {
		return " in shared tables"
	}
	return " in stores of its own"
}
