package s3_test

import (
	"slices"
	"testing"

	"github.com/tenurehq/tenure/connector"
)

// A draft names what keys begin with, and not the bucket in which Tenure keeps its own.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	b := ensure(t, d, "bucket", "t-acme", nil, "files")
	for _, key := range []string{"invoices/1.pdf", "invoices/2.pdf", "letters/a/b", "readme"} {
		put(t, w.root, b.Name, key, key)
	}
	c, err := d.(connector.Cataloguer).Catalogue(t.Context())
	must(t, err)
	of := func(typ, name string) connector.StoreInfo {
		for _, s := range c.Stores {
			if s.Type == typ && s.Name == name {
				return s
			}
		}
		t.Errorf("%s %s isn't listed: %+v", typ, name, c.Stores)
		return connector.StoreInfo{}
	}
	if s := of("bucket", b.Name); !slices.Equal(s.Prefixes, []string{"invoices/", "letters/"}) || !s.Classes || s.Rest != "" {
		t.Errorf("%+v", s)
	}
	if s := of("prefix", shared); s.Base != base {
		t.Errorf("%+v", s)
	}
	if len(c.Stores) != 2 {
		t.Errorf("%+v", c.Stores)
	}
}
