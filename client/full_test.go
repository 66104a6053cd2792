package client

import (
	"encoding/json"
	"testing"
	"time"
)

type Inner struct {
	List []string `json:"list"`
	When time.Time
	Raw  json.RawMessage `json:"raw,omitempty"`
}

type outer struct {
	Inner
	Rows   []Inner           `json:"rows"`
	By     map[string]Inner  `json:"by"`
	None   map[string]string `json:"none"`
	Left   []string          `json:"left,omitempty"`
	Zero   Inner             `json:"zero,omitzero"`
	Behind *Inner            `json:"behind,omitempty"`
	hidden []string
}

// TestFull: no list that has nothing in it travels as null, wherever it stands, and the
// value that was given is as it was.
func TestFull(t *testing.T) {
	t.Parallel()
	given := Page[outer]{Items: []outer{{Rows: []Inner{{}}, By: map[string]Inner{"a": {}}, Behind: &Inner{}, hidden: nil}}}
	before, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(Full(given))
	if err != nil {
		t.Fatal(err)
	}
	const w = `"When":"0001-01-01T00:00:00Z"`
	want := `{"items":[{"list":[],` + w + `,"rows":[{"list":[],` + w + `}],"by":{"a":{"list":[],` + w + `}},"none":{},"behind":{"list":[],` + w + `}}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if after, _ := json.Marshal(given); string(after) != string(before) {
		t.Errorf("the value was changed: %s", after)
	}
	if got, _ := json.Marshal(Full([]string(nil))); string(got) != "[]" {
		t.Errorf("a bare list: %s", got)
	}
}
