package scaffold

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tenurehq/tenure/connector"
)

// Counts is how much a draft speaks of.
type Counts struct{ Tables, Shared, Links, Untied, Open int }

// Counts counts what the draft decided, and what it left to a person.
func (d *Draft) Counts() Counts {
	return Counts{len(d.tables), len(d.shared), len(d.links), len(d.untied), len(d.Open)}
}

var plain = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.,-]*$`)

// quoted is a text as YAML takes it for one.
func quoted(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
	default:
		if plain.MatchString(s) && !strings.Contains(s, ",") {
			return s
		}
	}
	return Quoted(s)
}

// Quoted is a text between quotes, as YAML takes it for one, on one line and with what nobody
// sees, such as a sign that turns the direction of writing, written as its number.
func Quoted(s string) string {
	b, _ := json.Marshal(s)
	return visible(string(b))
}

// visible has what isn't printed in a JSON document written as its number.
func visible(doc string) string {
	var b strings.Builder
	for _, c := range doc {
		switch {
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case c > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, c)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}

// literal is a text in which nothing is an expression.
func literal(s string) string { return strings.ReplaceAll(s, "${", "$${") }

// comment is a text on one line behind a sign; what the catalog gives can hold anything.
func comment(s string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, s)
}

// YAML is the draft as a file. Says is what publishing it there, as it is, would say.
func (d *Draft) YAML(says []string) []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	remark := func(indent, s string) { line("%s# %s", indent, comment(s)) }
	if len(d.tables) > 0 {
		line("# Drafted from the catalog of system %s, by the tenant column %s. Each choice has its reason beside it.", comment(d.ask.System), comment(d.column))
	} else {
		line("# Drafted from what stands in system %s. Each choice has its reason beside it.", comment(d.ask.System))
	}
	line("# Read it, and decide what stands under TO DECIDE, before you submit it.")
	open := append([]string{"dataClasses: " + retention}, d.Open...)
	if len(d.stores) > 0 {
		open = append(open, "resources: how names follow from the tenant; the draft's fit no place that is there today, which stays as it is")
	}
	for _, s := range open {
		remark("", "TO DECIDE: "+s)
	}
	for _, s := range says {
		remark("", "TO DECIDE before it can be published: "+s)
	}
	for _, s := range d.ask.Catalogue.Says {
		remark("", "note: "+s)
	}
	for _, s := range d.closed {
		remark("", "note: not read: "+s)
	}
	if len(d.tables) > 0 {
		remark("", "note: a tenant whose rows are there already comes in by an onboarding that adopts (docs/survey.md)")
	}
	line("apiVersion: tenure.dev/v1\nkind: Blueprint\nname: %s\nversion: \"0.1\"\ntitle: %s\n", quoted(d.ask.Name), quoted("A tenant of "+d.ask.System))
	key := d.parameters(line)
	line("environments:\n  - {name: prod, kind: production}\n\nsystems:\n  %s: {connector: %s}\n", quoted(d.ask.System), quoted(d.ask.Connector))
	line("dataClasses:")
	d.writeClasses(line, map[string]bool{})
	line("\nresources:")
	if len(d.tables) > 0 {
		d.writeRows(line, remark, "rows", key)
	} else {
		d.writeStores(line)
	}
	line("\nfailure: park\n\napprovals: {onboard: 1, offboard: 2}\n\noffboarding:\n  grace: P30D\n  retrieval: P30D\n  quarantine: P14D")
	if len(d.untied) > 0 {
		line("\n# Tables that nothing ties to a tenant. If one holds tenants' rows, give it the tenant column, or name the column")
		line("# that says whose a row is under columns, and the table under tables:")
		for _, n := range d.untied {
			remark("", "  "+d.short(n))
		}
	}
	return []byte(b.String())
}

const retention = "how long each is kept after a departure, and why; the draft keeps what the customer may still fetch, 30 days, and no more"

// writeDisposition ends a data class.
func writeDisposition(line func(string, ...any)) {
	line("    disposition: purge\n    retention:\n      - {name: retrieval, kind: keep_until, period: P30D, from: termination, source: \"EU Data Act, article 25 (2) g\"}")
}

// parameters writes what a request must say, and gives the text of the tenant's key.
func (d *Draft) parameters(line func(string, ...any)) (key string) {
	pattern, example, what := "", "", ""
	switch t := d.keyType; {
	case len(d.tables) == 0:
		return "${tenant.name}"
	case strings.HasPrefix(t, "uuid"):
		pattern, example, what = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "00000000-0000-4000-8000-000000000000", "a UUID"
	case strings.Contains(t, "int") || strings.HasPrefix(t, "numeric") || strings.HasPrefix(t, "decimal") || strings.HasPrefix(t, "serial"):
		pattern, example, what = "^[1-9][0-9]{0,17}$", "1", "a number"
	default:
		return "${tenant.name}"
	}
	name := "tenantKey"
	line("# %s is %s, so a request says which one the tenant's is.", comment(d.column), what)
	line("parameters:\n  required: [%s]\n  properties:\n    %s:\n      type: string\n      pattern: %s\n      description: %s\n      examples: [%q]\n", name, name, quoted(pattern), quoted("The tenant's value in the column "+d.column+"."), example)
	return "${params." + name + "}"
}

// writeClasses writes those that aren't written yet.
func (d *Draft) writeClasses(line func(string, ...any), written map[string]bool) {
	all := map[string][]string{} // what each holds
	if len(d.tables) == 0 {
		all["files"] = []string{"files"}
	}
	for _, n := range sorted(d.tables) {
		p := d.tables[n]
		if all[p.class] == nil {
			all[p.class] = []string{}
		}
		for _, c := range p.holds {
			if !slices.Contains(all[p.class], string(c)) {
				all[p.class] = append(all[p.class], string(c))
			}
		}
	}
	for _, class := range sorted(all) {
		holds := all[class]
		if written[class] {
			continue
		}
		written[class] = true
		slices.Sort(holds)
		if len(holds) > 0 && len(d.tables) > 0 {
			line("  # By the names of its columns it holds: %s. tenure datamap scan looks at values too.", comment(strings.Join(holds, ", ")))
		}
		line("  %s:\n    title: %s", class, quoted(strings.ReplaceAll(strings.ToUpper(class[:1])+class[1:], "-", " ")))
		if len(holds) > 0 {
			line("    personal: true")
		}
		writeDisposition(line)
	}
}

func (d *Draft) writeRows(line func(string, ...any), remark func(indent, s string), name, key string) {
	var used []string
	for _, n := range sorted(d.tables) {
		if c := d.tables[n].class; !slices.Contains(used, c) {
			used = append(used, c)
		}
	}
	slices.Sort(used)
	line("  - key: %s\n    system: %s\n    type: rows\n    name: ${tenant.name}-${env.name} %s\n    data: [%s]\n    handover: true\n    attributes:", name, quoted(d.ask.System), name, strings.Join(used, ", "))
	if d.home != "" {
		line("      schema: %s", quoted(literal(d.home)))
	}
	line("      column: %s\n      key: %s\n      tables:", quoted(literal(d.column)), key)
	for _, n := range sorted(d.tables) {
		p := d.tables[n]
		why := p.why
		if len(p.holds) > 0 {
			why += "; looks like it holds " + words(p.holds)
		}
		line("        %s: %s # %s", quoted(d.short(n)), p.class, comment(why))
	}
	section := func(name string, all map[string]said) {
		if len(all) == 0 {
			return
		}
		line("      %s:", name)
		for _, n := range sorted(all) {
			at := n
			if name == "columns" {
				at = d.short(n)
			}
			line("        %s: %s # %s", quoted(at), quoted(literal(all[n].word)), comment(all[n].why))
		}
	}
	section("columns", d.columns)
	section("links", d.links)
	if len(d.shared) > 0 {
		line("      shared:")
		for _, n := range sorted(d.shared) {
			line("        - %s # %s", quoted(literal(d.short(n))), comment(d.shared[n].why))
		}
	}
}

// writeStores writes a resource for each type of place, after all the places of that type.
func (d *Draft) writeStores(line func(string, ...any)) {
	n := 0
	for _, typ := range d.types() {
		for _, g := range typ.groups {
			n++
			key := "files"
			if n > 1 {
				key += strconv.Itoa(n)
			}
			line("  # Drafted after %s.", comment(g.like))
			line("  - key: %s\n    system: %s\n    type: %s\n    name: %s\n    data: [files]\n    handover: true", key, quoted(d.ask.System), quoted(typ.name), quoted(g.name))
			if len(g.prefixes) > 0 {
				line("    attributes:\n      classes: # by what names begin with; give each the data class that it holds")
				for _, p := range g.prefixes {
					line("        %s: files", quoted(p))
				}
			}
		}
	}
}

type typed struct {
	name   string
	groups []group
}

// group are places that one resource stands for.
type group struct {
	name, like string
	prefixes   []string
}

// mostPrefixes is how many prefixes a draft names.
const mostPrefixes = 40

func (d *Draft) types() (out []typed) {
	byType := map[string][]connector.StoreInfo{}
	for _, s := range d.stores {
		byType[s.Type] = append(byType[s.Type], s)
	}
	for _, name := range sorted(byType) {
		t := typed{name: name}
		own := group{name: "t-${tenant.name}-${env.name}"}
		var like []string
		for _, s := range byType[name] {
			if s.Base != "" {
				t.groups = append(t.groups, group{name: s.Base + "${tenant.name}-${env.name}", like: s.Base + ", which tenants share"})
				continue
			}
			like = append(like, s.Name)
			for _, p := range s.Prefixes {
				if !slices.Contains(own.prefixes, p) && len(own.prefixes) < mostPrefixes {
					own.prefixes = append(own.prefixes, p)
				}
			}
			if s.Classes && len(own.prefixes) > 0 && !slices.Contains(own.prefixes, s.Rest) {
				own.prefixes = append(own.prefixes, s.Rest)
			}
		}
		if len(like) > 0 {
			slices.Sort(own.prefixes)
			own.like = strings.Join(like[:min(len(like), 3)], ", ")
			if len(like) > 3 {
				own.like += " and " + strconv.Itoa(len(like)-3) + " more"
			}
			t.groups = append(t.groups, own)
		}
		out = append(out, t)
	}
	return out
}
