package main

import (
	"database/sql"

	"github.com/rogpeppe/go-internal/testscript"
)

// sqlite FILE SQL: runs statements on a file, which is made if it isn't there.
func runSQLite(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite", "file:"+ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(args[1])
	ts.Check(err)
}
