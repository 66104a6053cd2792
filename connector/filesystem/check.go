package filesystem

import (
	"context"

	"github.com/tenurehq/tenure/connector"
)

var _ connector.Checker = (*Driver)(nil)

// Check is described at connector.Checker. What counts is the user that this process runs
// as, and who else may write in the root.
func (d *Driver) Check(_ context.Context, _ []connector.Asked) (c connector.Checkup, err error) {
	c.Role = connector.ProcessRole()
	c.Rights, err = connector.FolderRights(d.root, "tenants' folders and files")
	c.Rights = append(c.Rights, connector.ProcessRights()...)
	return c, err
}
