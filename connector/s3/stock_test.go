package s3

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/s3test"
)

// A caller that leaves between two pages of a listing isn't told that this was all.
func TestListingThatIsLeft(t *testing.T) {
	t.Parallel()
	s := s3test.NewStandIn(t)
	opened, err := open(t.Context(), connector.Config{
		Options: map[string]string{"endpoint": s.URL, "own": "tenure-own"},
		Secrets: map[string]tenure.Secret{"accessKey": tenure.NewSecret("a"), "secretKey": tenure.NewSecret("b")},
	})
	if err != nil {
		t.Fatal(err)
	}
	d := opened.(*Driver)
	if err := d.client().MakeBucket(t.Context(), "one", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		s.Put("one", fmt.Sprintf("k%d", i), nil)
	}
	s.Page = 2
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err = range d.stock(ctx, "one", "", "") {
		if err != nil {
			break
		}
		if n++; n == 2 { // the end of a page
			cancel()
		}
	}
	if err == nil {
		t.Errorf("%d of 6 entries are given as all", n)
	}
}

// A class is listed where it can be, and nowhere else.
func TestUnder(t *testing.T) {
	t.Parallel()
	a := attributes{Classes: map[string]string{"": "rest", "x/": "files", "x/y": "deep", "z": "files", "x/z": "files"}}
	for _, c := range []struct {
		class   string
		classes []string
		want    []string
	}{
		{"", nil, []string{""}}, {"rest", nil, []string{""}}, {"files", nil, []string{"x/", "z"}}, {"deep", nil, []string{"x/y"}}, {"none", nil, nil},
	} {
		if got := a.under(c.class, c.classes); !slices.Equal(got, c.want) {
			t.Errorf("class %q is under %q, want %q", c.class, got, c.want)
		}
	}
	for key, want := range map[string]string{"k": "rest", "x": "rest", "x/k": "files", "x/yk": "deep", "zz": "files"} {
		if got, _ := a.classOf(key, nil); got != want {
			t.Errorf("the class of %q is %q, want %q", key, got, want)
		}
	}
}

// A cursor leads back to where a batch ended, whatever its key is.
func TestCursors(t *testing.T) {
	t.Parallel()
	for _, p := range []pass{{}, {after: "", took: true}, {after: "k"}, {after: "k", took: true, broke: true}, {after: "+-%41 ü/\n", took: true}} {
		if got, err := parsePass(p.String()); err != nil || got != p {
			t.Errorf("%+v comes back as %+v, %v", p, got, err)
		}
	}
	if _, err := parsePass("nonsense"); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("nonsense is taken: %v", err)
	}
}
