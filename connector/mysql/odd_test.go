package mysql

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/mariadbtest"
)

// TestServersOfOddSettings works on a server whose every session begins in another way
// than Tenure needs, and whose binary log holds statements. It has that server alone, so
// it isn't parallel.
func TestServersOfOddSettings(t *testing.T) {
	mariadbtest.DSN(t)
	cmd := exec.Command("../../scripts/with-mariadb", "sh", "-c", "echo $"+mariadbtest.Variable+"; exec cat >/dev/null")
	cmd.Env = append(os.Environ(), "TENURE_TEST_MARIADBD="+strings.Join([]string{"--log-bin=odd", "--binlog-format=STATEMENT", "--log-bin-trust-function-creators=1",
		"--sql-mode=ORACLE,PAD_CHAR_TO_FULL_LENGTH,HIGH_NOT_PRECEDENCE,EMPTY_STRING_IS_NULL", "--transaction-isolation=SERIALIZABLE", "--transaction-read-only=1", "--completion-type=RELEASE",
		"--lc-messages=de_DE", "--max-join-size=1", "--default-storage-engine=MyISAM", "--character-set-server=latin1", "--collation-server=latin1_german2_ci",
		"--innodb-lock-wait-timeout=1", "--default-time-zone=+13:00", "--group-concat-max-len=4", "--wait-timeout=2", "--old-mode=ZERO_DATE_TIME_CAST", "--autocommit=0"}, " "))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dsn, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	before := os.Getenv(mariadbtest.Variable)
	if err := os.Setenv(mariadbtest.Variable, strings.TrimSpace(dsn)); err != nil { // t.Setenv forbids parallel tests below it
		t.Fatal(err)
	}
	defer func() {
		_ = os.Setenv(mariadbtest.Variable, before)
		_ = in.Close()
		_ = cmd.Wait()
	}()
	t.Run("all", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T){"keys": TestKeysThatACollationTakesForEqual, "types": TestKeysOfOtherTypes, "past": TestPastRows, "code": TestCodeThatCopies, "references": TestReferencesThatACollationMakes,
			"parts": TestPartsAndGeneratedColumns, "quarantine": TestQuarantineBringsBackCode, "elevation": TestElevationEndsByItself, "rights": TestRightsThatNothingDeclares, "columns": TestColumnsInAnotherCase} {
			t.Run(name, test)
		}
	})
	t.Run("read-only", func(t *testing.T) {
		w := openWorld(t)
		d := w.opened(t, nil)
		r := made(t, d, w.pool("one", "acme", w.covered()))
		w.exec(t, "insert into %s (tenant) values ('acme')", quote(w.app, "notes"))
		w.exec(t, "set global read_only = 1")
		_, err := d.Erase(t.Context(), r, connector.Batch{Run: "run", Class: "data", Limit: 10})
		refusedBy(t, "an erasure", err, tenure.Blocked, "read")
		_, _, err = d.Ensure(t.Context(), connector.Desired{Ref: w.pool("two", "birch", w.covered())})
		refusedBy(t, "an onboarding", err, tenure.Blocked, "read")
		if g, err := d.Observe(t.Context(), []connector.Ref{r}, func(connector.Observed) error { return nil }); err != nil || g.Complete {
			t.Errorf("a look at a server that only reads is complete: %+v, %v", g, err)
		}
		w.exec(t, "set global read_only = 0")
		erased(t, d, r, "data")
	})
}
