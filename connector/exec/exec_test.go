package exec

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
)

// What can't be right in a manifest is told with its line, and nothing is run for it.
func TestManifest(t *testing.T) {
	t.Parallel()
	good := manifestOf([]byte("a program"), "")
	info, err := Load([]byte(good), "/nowhere/hostile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	connectortest.Declarations(t, info)
	again, err := Load([]byte("# a comment\n"+good), "hostile.yaml")
	if err != nil || again.Version != info.Version || !info.Pinned || !strings.HasPrefix(info.Version, "1+") || len(info.Version) != 14 {
		t.Errorf("versions %q and %q, pinned %t, %v", info.Version, again.Version, info.Pinned, err)
	}
	other, err := Load([]byte(manifestOf([]byte("another program"), "")), "hostile.yaml")
	if err != nil || other.Version == info.Version {
		t.Errorf("another program has version %q, %v", other.Version, err)
	}
	for what, c := range map[string]struct{ from, to, says string }{
		"a path that leads out":   {"path: hostile,", "path: ../hostile,", `:10:17: $.program.path: "../hostile" doesn't stand beside the manifest`},
		"a checksum":              {digest([]byte("a program")), "abc", "64 hexadecimal digits"},
		"no shell":                {"arguments: [", "shell: [", `unknown key "shell"`},
		"a loader's variable":     {"COLOUR: red", "LD_PRELOAD: x.so", "LD_PRELOAD is set by Tenure or decides what else is loaded"},
		"a path of one's own":     {"COLOUR: red", "PATH: /tmp", "PATH is set by Tenure"},
		"a file twice":            {"arguments:", "files: [{path: hostile, sha256: " + digest(nil) + "}], arguments:", `"hostile" is named twice`},
		"no time":                 {"limits: {", "limits: {time: PT0S", "it must be above nothing"},
		"too much time":           {"limits: {", "limits: {time: P2D", "at most P1D"},
		"access that isn't cut":   {"layer: configuration", "layer: account", "a type of the layer account needs suspend"},
		"data that isn't erased":  {"layer: configuration", "holds: data\n    layer: ancillary", "a type that holds data needs erase"},
		"an erasure of no data":   {"can: [adopt]", "can: [erase]", "erase is for a type that holds data"},
		"copies":                  {"layer: configuration", "layer: backup", "can't keep copies that expire"},
		"a schema":                {"type: integer", "type: whole", "attributes"},
		"an attribute":            {"can: [adopt]", "isolation: [colour]", `there is no attribute "colour"`},
		"a secret with a default": {"help: A secret., secret: true", "help: A secret., secret: true, default: x", "has a default although"},
		"a sample":                {"can: [adopt]", "try: {name: a, attributes: {size: big}}", "attribute size"},
		"a probe's type":          {"types:\n  thing", "probes: [{name: reachable, help: It is., types: [other]}]\ntypes:\n  thing", `there is no type "other"`},
	} {
		src := strings.Replace(good, c.from, c.to, 1)
		if src == good {
			t.Fatalf("%s: nothing was changed", what)
		}
		if _, err := Load([]byte(src), "hostile.yaml"); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "hostile.yaml:") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !Is([]byte(good)) || Is([]byte("kind: Description\n")) {
		t.Error("a manifest isn't told from a description")
	}
}

// A program is asked for nothing that its manifest doesn't name.
func TestLimitedToItsManifest(t *testing.T) {
	t.Parallel()
	d := opened(t, hostileProgram(t, ""), map[string]string{"mode": "exit"}, false)
	s := connector.NewSystem("main", connector.Info{Name: "hostile"}, d, "f", 1)
	for word, want := range map[string]bool{"adopt": true, "suspend": false, "revoke": false, "quarantine": false, "export": false, "erase": false, "tally": false, "map": false, "probe": false, "hold": false, "elevate": false} {
		if s.Can(word) != want {
			t.Errorf("it can %s: %t", word, !want)
		}
	}
	if _, err := d.Suspend(t.Context(), theThing); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("suspend: %v", err)
	}
	if _, err := d.Erase(t.Context(), theThing, connector.Batch{Limit: 1}); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("erase: %v", err)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(manifestOf([]byte("a program"), "time: PT1S")))
	f.Add([]byte("kind: Program\ntypes: {a: {attributes: {properties: {x: null}}}}"))
	f.Fuzz(func(t *testing.T, src []byte) {
		info, err := Load(src, "f.yaml")
		if err != nil {
			return
		}
		for _, typ := range info.Types {
			info.Review(typ.Name, map[string]any{"size": "${params.x}"})
		}
	})
}
