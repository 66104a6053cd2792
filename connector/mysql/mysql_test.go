package mysql

import (
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

var testMarker = connector.Marker{Installation: tenure.NewID[tenure.InstallationID](epoch), System: "under-test", Key: []byte("a key of plain characters, of tests alone")}

func secretsOf(dsn string) map[string]tenure.Secret {
	return map[string]tenure.Secret{"dsn": tenure.NewSecret(dsn)}
}
