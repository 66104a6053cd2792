package mysql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/tenurehq/tenure"
)

// ownerPrefix begins the names of accounts that Tenure runs a blueprint's SQL as.
const ownerPrefix = "t_own_"

// ownerOf is the account in whose name SQL runs in a resource's database. It has rights
// on that database alone, so what a tenant has put in place of a table, or beside it,
// runs with no more than the tenant's. It stays, locked, as the definer of what the SQL
// has made.
func ownerOf(r tenure.ResourceID) string { return ownerPrefix + string(r[max(0, len(r)-12):]) }

// asOwner runs SQL, which may be several statements, in a database.
func (d *Driver) asOwner(ctx context.Context, s *session, r tenure.ResourceID, database string, texts ...string) (err error) {
	name, password := ownerOf(r), rand.Text()
	at := account(name, "%")
	if err := s.run(ctx, "create user if not exists "+at+" identified by password "+literal(noPassword())+" account lock"); err != nil {
		return err
	}
	if err := s.run(ctx, "grant all privileges on "+quote(pattern(database))+".* to "+at); err != nil {
		return err
	}
	if err := s.run(ctx, "alter user "+at+" identified by password "+literal(passwordHash(tenure.NewSecret(password)))+" account unlock"); err != nil {
		return err
	}
	defer func() {
		after := context.WithoutCancel(ctx)
		locked := s.run(after, "alter user "+at+" identified by password "+literal(noPassword())+" account lock")
		if locked == nil {
			locked = d.end(after, s, name)
		}
		if err == nil {
			err = locked
		}
	}()
	conf := d.config.Clone()
	conf.User, conf.Passwd, conf.DBName, conf.MultiStatements = name, password, database, true
	c, err := driver.NewConnector(conf)
	if err != nil {
		return tenure.Errorf(tenure.Internal, "the connection's settings can't be used")
	}
	db := sql.OpenDB(c)
	defer db.Close()
	for _, text := range texts {
		if strings.TrimSpace(text) == "" {
			continue
		}
		// A comment that ends the text takes nothing of what follows along.
		if _, err := db.ExecContext(ctx, text+"\n"); err != nil && !isNumber(err, 1065) {
			return err
		}
	}
	return nil
}

// dropOwner drops the account of a resource's database.
func (d *Driver) dropOwner(ctx context.Context, s *session, r tenure.ResourceID) error {
	name := ownerOf(r)
	if err := d.end(ctx, s, name); err != nil {
		return err
	}
	return s.run(ctx, "drop user if exists "+account(name, "%"))
}
