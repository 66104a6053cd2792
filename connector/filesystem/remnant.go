package filesystem

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var _ connector.Remnanter = (*Driver)(nil)

// remnants are what a file system physically keeps.
var remnants = []connector.RemnantInfo{
	{Kind: tenure.RemnantSpace, Help: "the blocks of files that were removed, until the file system uses them again; and files that a process still has open"},
	{Kind: tenure.RemnantSnapshots, Help: "snapshots of the file system, copies of its disk and backups. They can't be seen from the folder"},
}

// Remnants is described at connector.Remnanter.
func (d *Driver) Remnants(context.Context, []connector.Ref) ([]connector.Remnant, error) {
	return []connector.Remnant{
		{Kind: tenure.RemnantSpace, Says: "the blocks of removed files aren't written over until the file system uses them again"},
		{Kind: tenure.RemnantSnapshots, Says: "snapshots and copies of the disk can't be seen from the folder"},
	}, nil
}
