// Package relational holds what connectors to SQL databases share: names and
// quoting, the note that a resource bears, the foreign-key graph with what a
// tenant's rows can reach and in which order they go, erasure in bounded
// batches, and resources that are one row in a platform's table.
package relational

import "context"

// Rows is a result that is read row by row.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close()
}

// Querier runs SQL on one connection or in one transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (Rows, error)
	Exec(ctx context.Context, sql string, args ...any) (affected int64, err error)
}

// Dialect is what differs between databases. Every identifier that it is given
// is raw and leaves it quoted.
type Dialect interface {
	// Name quotes a table's name.
	Name(t TableName) string
	// Literal quotes a text so that it takes the type of what it is compared with.
	Literal(s string) string
	// Keyed are conditions on the tenant column of t, or on a path in one, under an
	// alias: it has the key, in whichever form, it has another, it has none. A row
	// of which the first is true is deleted, so it holds for no other tenant's.
	Keyed(t Table, alias, column, key string) (ours, theirs, nobodys string)
	// Address is an expression of a row's address within a transaction, as text.
	Address(t Table, alias string) string
	// At is the condition that a row has one of the addresses.
	At(t Table, alias string, addresses []string) string
	// DeleteFrom begins a statement that deletes rows of t; "where" follows, with
	// conditions on the rows under the alias.
	DeleteFrom(t TableName, alias string) string
	// DeleteSome deletes at most limit rows for which where holds under the alias.
	DeleteSome(t Table, alias, where string, limit int) string
	// Obstacles names what on a table can keep its rows from being changed:
	// triggers, rules and policies. "" if there is nothing of that kind.
	Obstacles(ctx context.Context, q Querier, t TableName) (string, error)
	// Updaters names the triggers that people made run when one of the columns of a
	// table's rows is set.
	Updaters(ctx context.Context, q Querier, t TableName, columns []string) ([]string, error)
	// Written is a query for the parents' keys that Write wrote down.
	Written(resource string, t Table, columns []string) string
	// IsWritten is the condition that Write wrote down the columns of the row under the
	// alias, for a child of t's own: its values as they stand, looked up by the key.
	IsWritten(resource string, t Table, columns []string, alias string) string
	// Write writes down which rows of the parent the child's rows, for which where
	// holds under the alias t, refer to.
	Write(ctx context.Context, q Querier, resource string, k ForeignKey, where string) error
	// Referring reads the foreign keys that refer to a table, or to parts of it.
	Referring(ctx context.Context, q Querier, t TableName) ([]ForeignKey, error)
	// Defer makes the transaction check deferrable constraints at its end.
	Defer(ctx context.Context, q Querier) error
	// View says what the querier can see of a table; alias names it in View.JSON.
	View(ctx context.Context, q Querier, t TableName, alias string) (View, error)
	// Argument is a JSON value as a parameter for a column of any type.
	Argument(v any) any
	// Stored is a JSON value as a column gives it back.
	Stored(v any) any
	// ForUpdate ends a select that locks what it reads.
	ForUpdate() string
	// Assign is a statement, with its arguments, that gives rows new values in some columns.
	Assign(t Table, alias string, columns []string, rows []Assigned) (sql string, args []any)
	// Constraints reads what a table asks of its rows. One that isn't there has none.
	Constraints(ctx context.Context, q Querier, t Table) (Constraints, error)
	// Typed makes of a parameter an expression of the type of a column.
	Typed(t Table, column, parameter string) string
	// Rest is an expression: the text of column after its first line, in an
	// order of bytes.
	Rest(column string) string
}

// Constraints are what a table asks of its rows, beside its columns' types.
type Constraints struct {
	Uniques  []Unique // the primary key among them
	Defaults []string // columns that have a default
	Checks   []Check
	Loose    bool                // columns' types bind no value, as in SQLite
	Computed map[string][]string // by column that is worked out: the columns that it is worked out from
}

// Unique is an index in which no two rows of a table are alike.
type Unique struct {
	Name    string
	Columns []string // a blank one stands for an expression
	Beside  []string // columns that its expressions, or its condition on rows, are over
	Partial bool     // it is over some rows alone, or rows exclude one another in it by another operator than =
	Alike   bool     // nulls are like one another
}

// Check is a condition that holds for each row of a table.
type Check struct {
	Name    string
	Columns []string
	Clause  string // over the columns, by their bare names; "" if it can't be told apart
}

// View is what can be seen of a table.
type View struct {
	Exists  bool
	Whole   bool // no row is hidden by missing rights or row security
	Columns []string
	JSON    string // an expression that gives a row as a JSON object text
	Exact   string // the same, with values that their types couldn't read again from JSON as texts; JSON if blank
}

// stored is the expression that gives a row so that it can be written again.
func (v View) stored() string {
	if v.Exact != "" {
		return v.Exact
	}
	return v.JSON
}

// texts reads a result of one text column.
func texts(ctx context.Context, q Querier, sql string, args ...any) ([]string, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// exists says whether a query has a row.
func exists(ctx context.Context, q Querier, sql string) (bool, error) {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	found := rows.Next()
	return found, rows.Err()
}
