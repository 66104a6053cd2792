package register

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// NotKnown stands where neither the blueprint nor the file says anything.
const NotKnown = "not known"

// Record is a record of processing activities (GDPR, article 30 (1)), an activity for each
// data class of a blueprint.
type Record struct {
	Blueprint      string // name and version
	Title          string
	Controller     string
	Representative string
	Officer        string
	Activities     []Activity
	Transfers      []string
	Measures       []string
	Undecided      []string // columns that nobody has decided on, so that the record may lack them
}

// Activity is what is done with one data class.
type Activity struct {
	Class      string
	Title      string
	Personal   string // yes, no, or that it isn't known
	Purposes   []string
	Subjects   []string
	Data       []string // categories of personal data
	Recipients []string
	Systems    []string
	Retention  []string // each rule with its source
	After      string   // what happens when it ends
}

// Of makes the record from a blueprint and what people confirmed. Nothing is guessed:
// what neither says is said to be not known.
func Of(b tenure.Blueprint, f *File) Record {
	r := Record{Blueprint: b.Name + " " + b.Version, Title: b.Title, Controller: known(f.Record.Controller), Representative: known(f.Record.Representative), Officer: known(f.Record.Officer)}
	for _, c := range b.DataClasses {
		r.Activities = append(r.Activities, activity(b, c, f))
	}
	r.Transfers = orNot(f.Record.Transfers)
	r.Measures = append(measures(b), f.Record.Measures...)
	for _, s := range f.Systems {
		if _, used := b.Systems[s.Name]; !used {
			continue
		}
		for _, e := range s.Entries {
			if !e.Decided() && !e.Missing {
				r.Undecided = append(r.Undecided, s.Name+": "+e.Name)
			}
		}
	}
	return r
}

func known(s string) string {
	if strings.TrimSpace(s) == "" {
		return NotKnown
	}
	return s
}

func orNot(all []string) []string {
	if len(all) == 0 {
		return []string{NotKnown}
	}
	return all
}

func activity(b tenure.Blueprint, c tenure.DataClass, f *File) Activity {
	a := Activity{Class: c.Name, Title: c.Title, Personal: NotKnown, Purposes: orNot(f.Record.Purposes[c.Name]), Subjects: orNot(f.Record.Subjects[c.Name]), After: dispositions[c.Disposition]}
	if c.Personal {
		a.Personal = "yes"
	}
	confirmed, decided := 0, 0
	for _, r := range b.Resources {
		if !slices.Contains(r.Data, c.Name) {
			continue
		}
		where := r.System
		if need, ok := b.Systems[r.System]; ok {
			where += " (" + need.Connector + ")"
		}
		where += ": " + r.Type + " " + r.Name
		if !slices.Contains(a.Systems, where) {
			a.Systems = append(a.Systems, where)
		}
		for _, to := range f.Record.Recipients[r.System] {
			if !slices.Contains(a.Recipients, to) {
				a.Recipients = append(a.Recipients, to)
			}
		}
		s := f.system(r.System)
		if s == nil {
			continue
		}
		for _, e := range s.Entries {
			if !e.Decided() || e.Missing || classOf(r, e.Name) != c.Name {
				continue
			}
			decided++
			if e.Decision == Confirmed && e.Personal {
				confirmed++
				if !slices.Contains(a.Data, e.Class) {
					a.Data = append(a.Data, e.Class)
				}
			}
		}
	}
	slices.Sort(a.Data)
	if a.Personal != "yes" && confirmed > 0 {
		a.Personal = "yes, by what people confirmed of its columns; the blueprint doesn't say so"
	}
	if a.Personal == NotKnown && decided > 0 {
		a.Personal = "none in the columns that people decided on; the blueprint doesn't say that it is"
	}
	a.Data, a.Recipients, a.Systems = orNot(a.Data), orNot(a.Recipients), orNot(a.Systems)
	for _, rule := range c.Retention {
		a.Retention = append(a.Retention, ruleText(rule))
	}
	a.Retention = orNot(a.Retention)
	return a
}

// classOf is the data class that a resource gives a column's table, "" if none.
func classOf(r tenure.ResourceSpec, entry string) (class string) {
	tables, _ := r.Attributes["tables"].(map[string]any)
	schema, _ := r.Attributes["schema"].(string)
	if r.Type == "schema" {
		schema = r.Name
	}
	longest := -1
	for name, c := range tables {
		text, _ := c.(string)
		for _, full := range []string{name, schema + "." + name} {
			if strings.HasPrefix(entry, full+".") && len(full) > longest {
				class, longest = text, len(full)
			}
		}
	}
	return class
}

var dispositions = map[tenure.Disposition]string{
	"keep": "it is kept, out of the tenant's reach", "archive": "it is archived", "aggregate": "it is aggregated, without personal data", "anonymise": "it is anonymised",
	"pseudonymise": "it is pseudonymised, which leaves it personal", "purge": "it is deleted", "crypto-erase": "its key is destroyed",
}

var froms = map[tenure.Anchor]string{"notice": "the notice", "termination": "the end of access", "contract_end": "the end of the contract"}

func ruleText(r tenure.RetentionRule) string {
	what := "kept until " + r.Period.String() + " after " + froms[r.From]
	if r.Kind == tenure.GoneBy {
		what = "gone by " + r.Period.String() + " after " + froms[r.From]
	}
	source := NotKnown
	if r.Source != "" {
		source = r.Source
	}
	return r.Name + ": " + what + " (source: " + source + ")"
}

// measures are those that the blueprint states, and no others.
func measures(b tenure.Blueprint) (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if b.Encryption.InTransit == "required" {
		add("connections are encrypted: required of every resource")
	}
	if b.Encryption.AtRest == "required" {
		add("what is stored is encrypted: required of every resource")
	}
	if b.Encryption.KeyOwner != "" {
		add("the key is the %s's", b.Encryption.KeyOwner)
	}
	if b.Encryption == (tenure.Encryption{}) {
		add("encryption: %s, as the blueprint asks for none", NotKnown)
	}
	kinds := map[string]bool{}
	for _, r := range b.Resources {
		kinds[r.Type] = true
	}
	if kinds["policy"] {
		add("row-level security keeps tenants' rows apart in shared tables")
	}
	if kinds["schema"] || kinds["database"] || kinds["bucket"] {
		add("tenants have stores of their own: %s", strings.Join(slices.DeleteFunc([]string{"schema", "database", "bucket"}, func(k string) bool { return !kinds[k] }), ", "))
	}
	var probes []string
	for _, p := range b.Probes {
		probes = append(probes, p.Name)
	}
	if len(probes) > 0 {
		add("probed before a tenant is active: %s", strings.Join(probes, "; "))
	}
	if n := b.Approvals[tenure.Offboard]; n > 0 {
		add("a departure takes %d other persons' approval", n)
	}
	if !b.Offboarding.Quarantine.IsZero() {
		add("stores are set aside for %s before they are deleted", b.Offboarding.Quarantine)
	}
	return out
}

// Markdown is the record as a page.
func (r Record) Markdown() []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Record of processing activities\n\nGDPR, article 30 (1). Drawn up from blueprint %s and from what people decided of the systems' columns. What neither says\nis said to be %s; fill it in under `record` of the file under review.\n", md(r.Blueprint), NotKnown)
	line("| | |\n|---|---|\n| blueprint | %s |\n| title | %s |\n| controller | %s |\n| representative | %s |\n| data protection officer | %s |", md(r.Blueprint), md(known(r.Title)), md(r.Controller), md(r.Representative), md(r.Officer))
	for _, a := range r.Activities {
		line("\n## %s\n\n| | |\n|---|---|", md(a.name()))
		for _, row := range a.rows() {
			line("| %s | %s |", row[0], strings.ReplaceAll(md(row[1]), "\n", "<br>"))
		}
	}
	list := func(title string, all []string) {
		line("\n## %s\n", title)
		for _, s := range all {
			line("- %s", md(s))
		}
	}
	list("Transfers to third countries", r.Transfers)
	list("Measures of security", orNot(r.Measures))
	if len(r.Undecided) > 0 {
		list("Columns that nobody has decided on", r.Undecided)
	}
	return []byte(b.String())
}

func (a Activity) name() string {
	if a.Title == "" {
		return a.Class
	}
	return a.Title + " (" + a.Class + ")"
}

func (a Activity) rows() [][2]string {
	return [][2]string{
		{"purposes", strings.Join(a.Purposes, "\n")}, {"personal data", a.Personal}, {"categories of data subjects", strings.Join(a.Subjects, "\n")},
		{"categories of personal data", strings.Join(a.Data, "\n")}, {"categories of recipients", strings.Join(a.Recipients, "\n")}, {"systems", strings.Join(a.Systems, "\n")},
		{"retention", strings.Join(a.Retention, "\n")}, {"when it ends", a.After},
	}
}

// md is a text that Markdown takes for one, within a table's cell too.
func md(s string) string {
	s = strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "\r", " ").Replace(s)
	return s
}

// CSV is the record as a table, an activity a line.
func (r Record) CSV() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{{"blueprint", "controller", "representative", "data protection officer", "data class", "title", "purposes", "personal data", "categories of data subjects", "categories of personal data",
		"categories of recipients", "systems", "retention", "when it ends", "transfers to third countries", "measures of security", "columns not decided"}}
	for _, a := range r.Activities {
		row := []string{r.Blueprint, r.Controller, r.Representative, r.Officer, a.Class, known(a.Title)}
		for _, cell := range a.rows() {
			row = append(row, cell[1])
		}
		rows = append(rows, append(row, strings.Join(r.Transfers, "\n"), strings.Join(orNot(r.Measures), "\n"), fmt.Sprint(len(r.Undecided))))
	}
	for _, row := range rows {
		for i := range row {
			row[i] = inert(row[i])
		}
	}
	err := w.WriteAll(rows)
	return b.Bytes(), err
}

// inert is a cell that no spreadsheet takes for a formula.
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
