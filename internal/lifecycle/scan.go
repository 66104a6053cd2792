package lifecycle

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/recogniser"
	"github.com/tenurehq/tenure/internal/scaffold"
)

// Scan is what a scan of a system's columns proposes. It holds shapes of values and no
// value.
type Scan struct {
	Columns []ScannedColumn
	Partial string   // what wasn't read, in words
	Says    []string // what isn't listed at all
}

// ScannedColumn is one column, or one path in a column of JSON documents.
type ScannedColumn struct {
	Table, Column, Path string
	Type                string
	Values              int    // how many were looked at
	Unread              string // why none were, "" if they were
	recogniser.Proposal
}

// ScanSystem proposes a data class for each column of a system, from its name, its type
// and some of its values. Values are looked at in memory and forgotten; they are in no
// error, log or row. A system that isn't in the systems file or a table that isn't there
// is NotFound.
func (s *Service) ScanSystem(ctx context.Context, name string, ask connector.Sampling) (out Scan, err error) {
	sys, err := s.scannable(ctx, name, "sample")
	if err != nil {
		return out, err
	}
	out.Partial, err = sys.Sample(ctx, ask, func(c connector.ColumnSample) error {
		out.Columns = append(out.Columns, scanned(c)...)
		return context.Cause(ctx)
	})
	return out, err
}

// scannable is a system of the systems file that was added and whose connector can.
func (s *Service) scannable(ctx context.Context, name, capability string) (*connector.System, error) {
	if _, ok := s.o.Settings[name]; !ok {
		_, err := s.open(ctx, name, "") // says which there are
		return nil, err
	}
	sys, err := s.system(ctx, name)
	if err != nil {
		return nil, err
	}
	if !sys.Can(capability) {
		what := "list what it holds"
		if capability == "sample" {
			what = "read values of its columns"
		}
		return nil, tenure.Errorf(tenure.Invalid, "connector %s of system %s can't %s", sys.Info.Name, name, what)
	}
	return sys, nil
}

// scanned is a column with what it is taken for; a column of documents also by path.
func scanned(c connector.ColumnSample) (out []ScannedColumn) {
	of := recogniser.Column{Table: c.Table, Name: c.Column.Name, Type: c.Column.Type, Values: c.Values}
	one := ScannedColumn{Table: c.Table, Column: of.Name, Type: of.Type, Values: len(c.Values), Unread: c.Says}
	paths := recogniser.Paths(c.Values)
	if len(paths) == 0 || !c.JSON && !mostly(c.Values) {
		one.Proposal = recogniser.Propose(of)
		return []ScannedColumn{one}
	}
	documents := of
	documents.Values = nil
	one.Proposal = recogniser.Propose(documents)
	if one.Class != recogniser.Secret && one.Class != recogniser.Special {
		one.Proposal = recogniser.Proposal{Class: recogniser.None, Confidence: 0.6, Reason: "it holds JSON documents, which stand below by path"}
	}
	out = append(out, one)
	var names []string
	for path := range paths {
		names = append(names, path)
	}
	slices.Sort(names)
	for _, path := range names {
		below := of
		below.Path, below.Values, below.Type = path, paths[path], "text"
		at := one
		at.Path, at.Type, at.Values, at.Proposal = path, "json", len(paths[path]), recogniser.Propose(below)
		out = append(out, at)
	}
	return out
}

// mostly says that texts are JSON objects or lists.
func mostly(values []string) bool {
	n := 0
	for _, v := range values {
		if v = strings.TrimSpace(v); len(v) > 1 && (v[0] == '{' && strings.Contains(v, ":") || v[0] == '[') {
			n++
		}
	}
	return n*10 >= len(values)*8
}

// Scaffold is a draft of a blueprint with what it says of itself.
type Scaffold struct {
	Source []byte
	scaffold.Counts
	Blocks []string // what would keep it from being published there, each also a comment of the draft
}

// ScaffoldBlueprint drafts a blueprint from what stands in a system, by the tenant column.
// The draft parses; what would keep it from being published on that very system stands in
// its comments. It changes nothing there, and reads no rows.
func (s *Service) ScaffoldBlueprint(ctx context.Context, name, column, as string) (out Scaffold, err error) {
	sys, err := s.scannable(ctx, name, "catalogue")
	if err != nil {
		return out, err
	}
	c, err := sys.Catalogue(ctx)
	if err != nil {
		return out, err
	}
	if as == "" {
		as = name
	}
	draft, err := scaffold.Make(scaffold.Ask{Name: as, System: name, Connector: sys.Info.Name, Column: column, Catalogue: c})
	if err != nil {
		return out, err
	}
	out.Counts = draft.Counts()
	checked, err := s.CheckBlueprint(draft.YAML(nil), "the draft")
	if err != nil {
		return out, err
	}
	_, out.Blocks, err = s.unfit(ctx, checked, nil)
	if tenure.CodeOf(err) == tenure.Invalid { // what a resource can't be at all
		out.Blocks, err = append(out.Blocks, err.Error()), nil
	}
	out.Source = draft.YAML(out.Blocks)
	return out, err
}
