package server

import (
	"reflect"
	"time"
)

// kept has each moment in a request's body be one as a store keeps it, in whole
// microseconds of UTC: an answer says it as every later one does.
func kept(params any) {
	if body := reflect.ValueOf(params).Elem(); body.Kind() == reflect.Struct {
		keep(body.FieldByName("Body"))
	}
}

func keep(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		keep(v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			keep(v.Index(i))
		}
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok && v.CanSet() {
			if !at.IsZero() {
				v.Set(reflect.ValueOf(at.UTC().Truncate(time.Microsecond)))
			}
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				keep(v.Field(i))
			}
		}
	}
}
