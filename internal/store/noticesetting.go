package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

// NoticeSetting is how a person wants mail, and who said so.
type NoticeSetting struct {
	tenure.NoticeSettings
	Principal tenure.PrincipalID
	SetBy     string
	SetAt     time.Time
	Version   int64 // 0: nothing was ever set
}

func noticeSetting(q querier, person tenure.PrincipalID) (NoticeSetting, error) {
	out := NoticeSetting{Principal: person}
	err := q.Rows(`select body, set_by, set_at, version from notice_setting where principal = $1`, []any{string(person)}, func(r scanner) error {
		var body string
		var at int64
		if err := r.Scan(&body, &out.SetBy, &at, &out.Version); err != nil {
			return err
		}
		out.SetAt = fromMicros(at)
		if decode(body, &out.NoticeSettings) != nil { // somebody has written past Tenure: audit verify names the row
			out.NoticeSettings = tenure.NoticeSettings{}
		}
		return nil
	})
	return out, err
}

// NoticeSetting is how a person wants mail; who never said gets everything at once, and so does
// who said what can't be read any more.
func (db *DB) NoticeSetting(ctx context.Context, person tenure.PrincipalID) (NoticeSetting, error) {
	return noticeSetting(db.reader(ctx), person)
}

// NoticeSetting is how a person wants mail, as the transaction sees it.
func (tx *Tx) NoticeSetting(person tenure.PrincipalID) (NoticeSetting, error) {
	return noticeSetting(tx, person)
}

// SaveNoticeSetting stores how a person wants mail. One that has changed since it was read is
// Conflict.
func (tx *Tx) SaveNoticeSetting(s NoticeSetting) error {
	n, err := tx.Exec(`insert into notice_setting (principal, body, set_by, set_at, version) values ($1, $2, $3, $4, 1)
		on conflict (principal) do update set body = excluded.body, set_by = excluded.set_by, set_at = excluded.set_at, version = notice_setting.version + 1 where notice_setting.version = $5`,
		string(s.Principal), text(s.NoticeSettings), s.SetBy, micros(s.SetAt), s.Version)
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "the notice settings have changed since they were read").WithHint("read them again")
	}
	return err
}
