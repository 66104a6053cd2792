package postgres

import (
	"errors"
	"regexp"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenurehq/tenure"
)

// raisedIn finds the function in whose body the server met an error.
var raisedIn = regexp.MustCompile(`(?:PL/\w+|SQL) function (.+?)\(`)

// refused makes of what the server says against a batch an error that no retry
// mends, with the constraint, table or function in the way. What a trigger raises
// is left out: it may quote a row.
func refused(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) < 2 {
		return err
	}
	table := name{pg.SchemaName, pg.TableName}.String()
	blocked := func(hint, format string, args ...any) error {
		return tenure.Errorf(tenure.Blocked, format, args...).WithHint("%s", hint)
	}
	switch class := pg.Code[:2]; {
	case class == "40" || class == "53" || class == "55" && pg.Code != "55000" || class == "57" || class == "58" || class == "08":
		return err
	case class == "23" && pg.ConstraintName != "":
		return blocked("change the constraint or the rows so that the tenant's rows can go, then retry", "rows don't go: constraint %s of %s stands in the way (SQLSTATE %s)", pg.ConstraintName, table, pg.Code)
	case class == "23" && pg.ColumnName != "":
		return blocked("let the column be null, or change the constraint that sets it, then retry", "rows don't go: column %s of %s can't be null (SQLSTATE %s)", pg.ColumnName, table, pg.Code)
	case class == "23" && pg.TableName != "":
		return blocked("let the table take such rows, with a partition or another constraint, then retry", "rows don't go: %s doesn't take others' rows as they would be without their references (SQLSTATE %s)", table, pg.Code)
	case raisedIn.MatchString(pg.Where):
		return blocked("change it so that the rows of a tenant that leaves can go, then retry", "rows don't go: function %s, which a trigger or a rule runs, stands in the way (SQLSTATE %s)", raisedIn.FindStringSubmatch(pg.Where)[1], pg.Code)
	case pg.Code == "42P10":
		return blocked(fixPublished, "rows don't go: %s, which is in a publication (SQLSTATE %s)", pg.Message, pg.Code)
	case pg.Code == "55000":
		return blocked("give each table that is published a replica identity, then retry", "rows don't go: %s (SQLSTATE %s)", pg.Message, pg.Code)
	}
	return err
}
