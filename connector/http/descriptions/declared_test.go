package descriptions

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"testing"

	"github.com/tenurehq/tenure/connector/http"
)

var update = flag.Bool("update", false, "write declared.json anew")

// Each description can be read, stands in the folder of its name, and declares what
// declared.json says.
func TestDeclared(t *testing.T) {
	want, err := declare()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("declared.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(want, declared) {
		t.Error("declared.json isn't the descriptions': run go test ./connector/http/descriptions -run TestDeclared -update")
	}
	if len(Infos()) < 10 {
		t.Errorf("there are %d descriptions", len(Infos()))
	}
	for _, i := range Infos() {
		src, ok := Source(i.Name)
		if !ok {
			t.Fatalf("%s isn't in the folder of its name", i.Name)
		}
		d, err := http.Parse(src, i.Name)
		if err != nil {
			t.Fatal(err)
		}
		if whole := d.Info(); whole.Version != i.Version || !reflect.DeepEqual(whole.Types, i.Types) || !reflect.DeepEqual(whole.Options, i.Options) || !reflect.DeepEqual(whole.Probes, i.Probes) {
			t.Errorf("%s declares otherwise than its description", i.Name)
		}
	}
}
