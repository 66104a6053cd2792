package store_test

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// A plan in which every field says something comes back as it is, and as encoding/json
// reads it: the store decodes plans by another package.
func TestPlanWithEveryField(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		plan := &tenure.Plan{}
		filled(reflect.ValueOf(plan).Elem(), 0)
		plan.Format = tenure.PlanFormat
		body, digest, err := plan.Encode()
		f.must(err)
		f.write(func(tx *store.Tx) error { return tx.SavePlan(digest, body, plan, "ada") })
		want, err := tenure.DecodePlan(body, digest)
		f.must(err)
		got, err := f.Plan(context.Background(), digest)
		f.must(err)
		if !reflect.DeepEqual(want, got) {
			t.Errorf("encoding/json reads\n%+v, the store\n%+v", want, got)
		}
		again, _, err := got.Encode()
		f.must(err)
		if string(again) != string(body) {
			t.Errorf("encoded again it is\n%s, was\n%s", again, body)
		}
	})
}

// filled sets a value and all that it holds, down to what refers to itself.
func filled(v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(start.Add(time.Duration(depth) * time.Microsecond)))
		return
	case json.RawMessage:
		v.SetBytes([]byte(`{"a":[1,"<é>",null]}`))
		return
	case tenure.Period:
		p, err := tenure.ParsePeriod("P1Y2M3D")
		if err != nil {
			panic(err)
		}
		v.Set(reflect.ValueOf(p))
		return
	}
	if depth > 8 {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				filled(v.Field(i), depth+1)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			filled(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		filled(key, depth+1)
		filled(value, depth+1)
		v.SetMapIndex(key, value)
	case reflect.Interface:
		v.Set(reflect.ValueOf("any"))
	case reflect.String:
		v.SetString("<é>\u2028 " + v.Type().Name())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(1<<53 - 1)
	case reflect.Uint64, reflect.Uint8:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(0.1)
	default:
		panic("a plan holds a " + v.Type().String())
	}
}
