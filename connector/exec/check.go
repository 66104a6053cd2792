package exec

import (
	"context"

	"github.com/tenurehq/tenure/connector"
)

var _ connector.Checker = (*driver)(nil)

// Check is described at connector.Checker. As whom a program runs is seen; what it may do in
// its system it alone knows.
func (d *driver) Check(context.Context, []connector.Asked) (c connector.Checkup, err error) {
	c.Role = connector.ProcessRole()
	c.Untold = "only the program knows what its credential may do in its system"
	c.Rights = connector.ProcessRights()
	return c, nil
}
