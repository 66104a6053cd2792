// Package all names every connector of this build.
package all

import (
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/filesystem"
	"github.com/tenurehq/tenure/connector/http"
	"github.com/tenurehq/tenure/connector/http/descriptions"
	"github.com/tenurehq/tenure/connector/ldap"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/connector/mysql"
	"github.com/tenurehq/tenure/connector/oidcclient"
	"github.com/tenurehq/tenure/connector/postgres"
	"github.com/tenurehq/tenure/connector/s3"
	"github.com/tenurehq/tenure/connector/sqlite"
)

// Catalog lists the connectors by name. The slice is the caller's.
func Catalog() []connector.Info {
	out := append(programmed(), descriptions.Infos()...)
	slices.SortFunc(out, func(a, b connector.Info) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// programmed are the connectors that are code.
func programmed() []connector.Info {
	return []connector.Info{
		filesystem.Info(),
		http.Info(),
		ldap.Info(),
		memory.Info(),
		mysql.Info(),
		oidcclient.Info(),
		postgres.Info(),
		s3.Info(),
		sqlite.Info(),
	}
}
