package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// A blocked operation names every place that stands in the way, with what settles it,
// and the gates that can be seen to meanwhile: nobody retries in the dark.
func TestBlockedOperationSaysAll(t *testing.T) {
	t.Parallel()
	var places []client.CountedPlace
	for i := range 40 {
		places = append(places, client.CountedPlace{Name: fmt.Sprintf("public.table_%02d", i), Says: strings.Repeat("it refers to the tenant's rows ", 3), Fix: fmt.Sprintf("tables: {table_%02d: CLASS}", i), Blocks: true})
	}
	places = append(places, client.CountedPlace{Name: "public.orders", Class: "orders"}, client.CountedPlace{Name: "public.later", Class: "invoices", Blocks: true})
	receipt, err := json.Marshal(map[string]any{"places": places})
	if err != nil {
		t.Fatal(err)
	}
	v := client.OperationDetail{Body: &tenure.Plan{Name: "acme", Steps: []tenure.Step{
		{Key: "prod/data/count/orders", Action: tenure.ActCount, Class: "orders"},
		{Key: "noreturn/orders", Action: tenure.ActNoReturn, Needs: []string{"prod/data/count/orders"}},
		{Key: "noreturn/logs", Action: tenure.ActNoReturn, Summary: "point of no return for logs: 2 persons confirm the counts"},
	}}}
	v.State, v.ID, v.Plan = tenure.OperationBlocked, "op_x", "sha256:x"
	v.Rows = []tenure.StepStatus{
		{Key: "prod/data/count/orders", State: tenure.StepFailed, Receipt: string(receipt), Error: strings.Repeat("x", 2000) + "…"},
		{Key: "noreturn/orders", State: tenure.StepPending}, {Key: "noreturn/logs", State: tenure.StepPending},
	}
	for _, terminal := range []bool{false, true} {
		var out bytes.Buffer
		printOperation(&page{w: &out, width: 80, now: time.Now(), terminal: terminal}, v, true)
		text := out.String()
		for _, want := range []string{"public.table_00: it refers", "public.table_39: it refers", "tables: {table_39: CLASS}", "2 persons confirm", "retry op_x", "approve op_x --gate noreturn/logs"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q isn't shown:\n%s", want, text)
			}
		}
		for _, not := range []string{"public.later", "public.orders", "--gate noreturn/orders", "…"} {
			if strings.Contains(text, not) {
				t.Errorf("%q is shown:\n%s", not, text)
			}
		}
	}
}
