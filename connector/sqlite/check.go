package sqlite

import (
	"context"
	"path/filepath"

	"github.com/tenurehq/tenure/connector"
)

var _ connector.Checker = (*Driver)(nil)

// Check is described at connector.Checker. SQLite knows no accounts: what counts is the user
// that this process runs as, and who else may write where the files are.
func (d *Driver) Check(_ context.Context, _ []connector.Asked) (c connector.Checkup, err error) {
	c.Role = connector.ProcessRole()
	if c.Rights, err = connector.FolderRights(d.dir, "tenants' database files"); err != nil {
		return c, err
	}
	if at := filepath.Dir(d.shared); d.shared != "" && at != d.dir {
		more, err := connector.FolderRights(at, "the platform's database file, and the journal beside it")
		if err != nil {
			return c, err
		}
		c.Rights = append(c.Rights, more...)
	}
	c.Rights = append(c.Rights, connector.ProcessRights()...)
	return c, nil
}
