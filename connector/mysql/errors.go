package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/tenurehq/tenure"
)

// stopped carries an error of the caller's through a pass.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

func stop(err error) error {
	if err == nil {
		return nil
	}
	return &stopped{err}
}

func errBadConn() error { return sqldriver.ErrBadConn }

// numberOf is the server's own number of an error, 0 if it has none.
func numberOf(err error) uint16 {
	var own *driver.MySQLError
	if errors.As(err, &own) {
		return own.Number
	}
	return 0
}

// isNumber says that the error has one of the numbers.
func isNumber(err error, numbers ...uint16) bool {
	return slices.Contains(numbers, numberOf(err)) && err != nil
}

// isCoded says whether an error has its code already.
func isCoded(err error) bool {
	var own *tenure.Error
	return errors.As(err, &own)
}

// coded gives an error its code, by the server's number (mariadb.com/kb,
// "MariaDB Error Codes"). A caller's own error passes as it is.
func coded(err error) error {
	if err == nil {
		return nil
	}
	var own *tenure.Error
	var stop *stopped
	var server *driver.MySQLError
	var network net.Error
	switch {
	case errors.As(err, &stop):
		return stop.err
	case errors.As(err, &own):
		return own
	case errors.As(err, &server):
		return byNumber(server)
	case errors.Is(err, context.Canceled):
		return tenure.Errorf(tenure.Unavailable, "the call was cut off: %w", context.Canceled).Retryable()
	case errors.Is(err, context.DeadlineExceeded):
		return tenure.Errorf(tenure.Unavailable, "the call was cut off: %w", context.DeadlineExceeded).Retryable()
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, sqldriver.ErrBadConn), errors.Is(err, driver.ErrInvalidConn), strings.Contains(err.Error(), "connection"):
		return tenure.Errorf(tenure.Unavailable, "the server doesn't answer").Retryable()
	case strings.Contains(err.Error(), "converting NULL to"):
		return tenure.Errorf(tenure.Blocked, "the server gave nothing where a value was due: a row is longer than its max_allowed_packet").WithHint("raise max_allowed_packet on the server")
	}
	return tenure.Errorf(tenure.Internal, "mysql: %w", err)
}

func byNumber(own *driver.MySQLError) error {
	e := tenure.Errorf(tenure.Internal, "the server says: %s (error %d)", plain(own), own.Number)
	set := func(code tenure.Code) *tenure.Error { e.Code = code; return e }
	if systemIsFull(own.Message) {
		return set(tenure.Unavailable).Retryable().WithHint(roomHint)
	}
	switch own.Number {
	case 1044, 1142, 1143, 1227, 1370, 1410, 1698: // access denied
		return set(tenure.Forbidden).WithHint("grant the account of the option dsn what this needs")
	case 1045:
		return set(tenure.Unauthorized).WithHint("check the password of the option dsn")
	case 1007, 1050, 1062, 1396, 1061: // there already; 1396 is an account that is, or isn't
		return set(tenure.Conflict).Retryable()
	case 1451, 1217, 1644, 1442, 1701: // referred to; a trigger's own word
		return set(tenure.Blocked)
	case 1205, 1213, 1020, 1684: // lock wait, deadlock, a row that changed since it was read, a table that is being altered
		return set(tenure.Unavailable).Retryable()
	case 1969, 1317, 3024, 1028: // a statement that took too long, or was killed
		return set(tenure.Unavailable).Retryable().WithHint("a longer option timeout lets a statement run longer")
	case 1040, 1203, 1226:
		return set(tenure.Unavailable).Retryable().WithHint("all connections of the server, or of the account, are taken: end some, and give tenants' users a connectionLimit")
	case 1021, 1114, 1041, 1037, 1038, 126, 28:
		return set(tenure.Unavailable).Retryable().WithHint(roomHint)
	case 1053, 1077, 1927, 1129, 1130, 1158, 1159, 1160, 1161, 2006, 2013:
		return set(tenure.Unavailable).Retryable()
	case 1290, 1792, 1836, 4166: // read only
		return set(tenure.Blocked).WithHint("the endpoint is read-only; use the primary's")
	case 1049:
		return set(tenure.NotFound)
	}
	return set(tenure.Invalid)
}

const roomHint = "the server's disk or memory is full, or it has too many files open; make room there; the call is tried again"

// systemError is how the server quotes an error number of its system's, in whichever
// error of its own that came up.
var systemError = regexp.MustCompile(`(?i)(?:errno|errcode|error):? (\d+)(?: from| "|\)|$)`)

// systemIsFull says whether the server's system has no room: out of memory, of files, of
// disk or of quota (errno(3) on Linux), or the storage engine's own (135, "table is full").
func systemIsFull(message string) bool {
	for _, m := range systemError.FindAllStringSubmatch(message, -1) {
		if slices.Contains([]string{"11", "12", "23", "24", "28", "122", "135"}, m[1]) {
			return true
		}
	}
	return false
}

// plain is the server's text of an error without the values that it quotes: a
// duplicate key is a tenant's data.
func plain(own *driver.MySQLError) string {
	switch own.Number {
	case 1062:
		if i := strings.LastIndex(own.Message, " for key "); i >= 0 {
			return "a value is there already" + own.Message[i:]
		}
	case 1292, 1366, 1265, 1406, 1264: // a value that doesn't fit
		if i := strings.LastIndex(own.Message, " for column "); i >= 0 {
			return "a value doesn't fit" + own.Message[i:]
		}
	}
	return own.Message
}
