package descriptions_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/noderedtest"
	"github.com/tenurehq/tenure/internal/toxitest"
)

func TestNodeRED(t *testing.T) { connectortest.Run(t, nodeRED) }

// answering is an app template: whoever calls its address is answered.
func answering(address string) []any {
	return []any{
		map[string]any{"id": "in", "type": "http in", "name": "", "url": address, "method": "get", "upload": false, "swaggerDoc": "", "x": 100, "y": 80, "wires": []any{[]any{"say"}}},
		map[string]any{"id": "say", "type": "template", "name": "", "field": "payload", "fieldType": "msg", "format": "text", "syntax": "plain", "template": "ready", "output": "str", "x": 260, "y": 80, "wires": []any{[]any{"out"}}},
		map[string]any{"id": "out", "type": "http response", "name": "", "statusCode": "200", "headers": map[string]any{}, "x": 420, "y": 80, "wires": []any{}},
	}
}

func nodeRED(t *testing.T) *connectortest.World {
	s := noderedtest.Start(t)
	proxy := toxitest.New(t, s.Address)
	n := nodered{s}
	return &connectortest.World{
		Info:    info(t, "nodered"),
		Dear:    true,
		Options: map[string]string{"base": "http://" + proxy.Address, "user": s.User},
		Secrets: map[string]tenure.Secret{"password": tenure.NewSecret(s.Password)},
		Look:    s.Look,
		LoseSentinel: func(t testing.TB) {
			s.Must(t, http.MethodDelete, "/flow/"+s.Tab(t, "tenure-sentinel")["id"].(string), nil, nil)
		},
		Outage: func(t testing.TB) func() { proxy.Down(); return proxy.Heal },
		Cases:  []connectortest.Case{n.flow()},
		// The editor's lock can't be taken off while it runs.
		Untried: []string{"exposure"},
	}
}

type nodered struct{ *noderedtest.Server }

// set changes one field of a tab.
func (n nodered) set(t testing.TB, r connector.Ref, key string, value any) {
	t.Helper()
	tab := n.Tab(t, r.Name)
	if tab == nil {
		t.Fatalf("there is no tab %q", r.Name)
	}
	var nodes []any
	for _, f := range n.Flows(t) {
		if f["z"] == tab["id"] {
			nodes = append(nodes, f)
		}
	}
	tab["nodes"], tab["configs"] = nodes, []any{}
	tab[key] = value
	n.Must(t, http.MethodPut, "/flow/"+tab["id"].(string), tab, nil)
}

func (n nodered) flow() connectortest.Case {
	return connectortest.Case{
		Type: "flow",
		New: func(_ testing.TB, i int) connector.Desired {
			return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("acme %d", i), Attributes: map[string]any{"template": "orders@1.0", "nodes": answering(fmt.Sprintf("/acme/%d", i))}}}
		},
		Changed: func(d connector.Desired) connector.Desired {
			d.Attributes = map[string]any{"template": "orders@1.1", "nodes": append(answering("/changed/"+strings.ReplaceAll(d.Name, " ", "-")), map[string]any{"id": "note", "type": "comment", "name": "1.1", "info": "", "x": 100, "y": 20, "wires": []any{}})}
			return d
		},
		Invalid: []map[string]any{{"template": "orders"}, {"nodes": []any{}}, {"template": "orders@1", "nodes": []any{map[string]any{"type": "comment"}}}, {"template": "orders@1", "x": 1}},
		Tamper: func(t testing.TB, r connector.Ref) {
			n.set(t, r, "nodes", []any{map[string]any{"id": "theirs." + r.Name, "type": "comment", "name": "x", "x": 1, "y": 1, "wires": []any{}}})
		},
		Foreign: func(t testing.TB, r connector.Ref) {
			n.Must(t, http.MethodPost, "/flow", map[string]any{"label": r.Name, "nodes": []any{}}, nil)
		},
		Unlisted: true,
		Remark: func(t testing.TB, r connector.Ref, mark string) {
			info, _ := n.Tab(t, r.Name)["info"].(string)
			_, rest, _ := strings.Cut(info, "\n")
			n.set(t, r, "info", mark+"\n"+rest)
		},
		Exists: func(t testing.TB, r connector.Ref) bool { return n.Tab(t, r.Name) != nil },
		Works: func(t testing.TB, d connector.Desired) bool {
			for _, node := range d.Attributes["nodes"].([]any) {
				if url, ok := node.(map[string]any)["url"].(string); ok {
					res, err := http.Get(n.URL + url)
					if err != nil {
						t.Fatal(err)
					}
					_ = res.Body.Close()
					return res.StatusCode == http.StatusOK
				}
			}
			return false
		},
	}
}
