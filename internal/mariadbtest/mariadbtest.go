// Package mariadbtest gives tests a real MariaDB: the server that scripts/with-mariadb
// started, servers of a test's own, and
// names of each test's own.
package mariadbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/tenurehq/tenure/internal/toxitest"
)

// Variable names the environment variable that holds the server's DSN.
const Variable = "TENURE_TEST_MARIADB"

// DSN is that of an account of the test server's with every right. Without one the test
// is skipped by name; where CI is set it fails.
func DSN(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv(Variable)
	switch {
	case dsn != "":
	case os.Getenv("CI") != "":
		t.Fatalf("%s is not set; run the tests through scripts/with-mariadb", Variable)
	default:
		t.Skipf("%s needs MariaDB: run it through scripts/with-mariadb", t.Name())
	}
	return dsn
}

// Token is a random text of 10 hexadecimal digits that begins with a letter. Accounts and
// databases are the whole server's, so tests that run side by side put one into their
// names; Sweep drops what has it.
func Token() string {
	var b [5]byte
	_, _ = rand.Read(b[:])
	return "t" + hex.EncodeToString(b[:])
}

// Open is a pool of connections that is closed after the test. The sessions take "x"
// for a name, and a backslash in '…' for itself; a statement may be several.
func Open(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	conf := config(t, dsn)
	conf.MultiStatements = true
	conf.Params = map[string]string{"sql_mode": "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'", "time_zone": "'+00:00'", // and what a server may be set to otherwise
		"sql_big_selects": "1", "default_storage_engine": "InnoDB", "foreign_key_checks": "1", "unique_checks": "1", "sql_safe_updates": "0", "sql_select_limit": "18446744073709551615",
		"completion_type": "'NO_CHAIN'", "tx_isolation": "'REPEATABLE-READ'", "tx_read_only": "0", "autocommit": "1", "collation_connection": "utf8mb4_general_ci"}
	c, err := mysql.NewConnector(conf)
	if err != nil {
		t.Fatal("the test server's DSN can't be used")
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(4)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func config(t testing.TB, dsn string) *mysql.Config {
	t.Helper()
	conf, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal("the test server's DSN can't be read")
	}
	return conf
}

// As is the DSN for another account and a database.
func As(t testing.TB, dsn, user, password, database string) string {
	t.Helper()
	conf := config(t, dsn)
	conf.User, conf.Passwd, conf.DBName = user, password, database
	return conf.FormatDSN()
}

// Exec runs statements.
func Exec(t testing.TB, db *sql.DB, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := db.ExecContext(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Strings reads the first column of a result as texts; null is "".
func Strings(t testing.TB, db *sql.DB, query string) (out []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var s sql.NullString
		if err := rows.Scan(&s); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		out = append(out, s.String)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

// Number reads one number.
func Number(t testing.TB, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// Sweep drops the databases and accounts whose names begin with the token.
func Sweep(t testing.TB, db *sql.DB, token string) {
	t.Helper()
	quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	for _, name := range Strings(t, db, "select schema_name from information_schema.schemata where schema_name like '"+token+"%'") {
		Exec(t, db, "set foreign_key_checks = 0; drop database "+quote(name)+"; set foreign_key_checks = 1")
	}
	for _, at := range Strings(t, db, "select concat(quote(user), if(host = '', '', concat('@', quote(host)))) from mysql.global_priv where user like '"+token+"%'") {
		if strings.Contains(at, "@") {
			Exec(t, db, "drop user "+at)
		} else {
			Exec(t, db, "drop role "+at)
		}
	}
}

// Proxy stands between a client and the test server, and does to their connections what
// networks do.
type Proxy struct {
	*toxitest.Proxy
	DSN string // the server's, through the proxy
}

// NewProxy starts a proxy to dsn that ends with the test.
func NewProxy(t testing.TB, dsn string) *Proxy {
	t.Helper()
	conf := config(t, dsn)
	p := &Proxy{Proxy: toxitest.New(t, conf.Addr)}
	conf.Addr = p.Address
	p.DSN = conf.FormatDSN()
	return p
}
