package connector

import (
	"context"
	"io"
	"testing"

	"github.com/tenurehq/tenure"
)

// halfway has the methods of a Revoker and of an Exporter, and can only revoke.
type halfway struct{ Driver }

func (halfway) Can(capability string) bool                              { return capability == "revoke" }
func (halfway) Revoke(context.Context, Ref) (r Receipt, err error)      { return r, nil }
func (halfway) Settle(context.Context) error                            { return nil }
func (halfway) Export(context.Context, Ref, io.Writer) (Receipt, error) { panic("it can't") }

// A driver that was made of a file is asked for nothing that it can't do.
func TestLimited(t *testing.T) {
	t.Parallel()
	s := NewSystem("main", Info{Name: "halfway"}, halfway{}, "", 1)
	if !s.Can("revoke") || s.Can("export") || s.Can("suspend") {
		t.Errorf("revoke %t, export %t, suspend %t", s.Can("revoke"), s.Can("export"), s.Can("suspend"))
	}
	if _, ok := As[Settler](s.Driver()); !ok {
		t.Error("what no word stands for is as the driver has it")
	}
	if _, err := s.Export(t.Context(), Ref{}, io.Discard); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("export: %v", err)
	}
}
