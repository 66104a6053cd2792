package client

import (
	"encoding/json"
	"reflect"
	"strings"
)

var marshaler = reflect.TypeFor[json.Marshaler]()

// Full gives v with an empty list or map in the place of each that is nil, so that it
// travels as [] or {} and not as null. What may be left out stays left out, and what
// writes its own JSON is as it was. Nothing that v holds is changed.
func Full(v any) any {
	if v == nil {
		return nil
	}
	if out, changed := full(reflect.ValueOf(v)); changed {
		return out.Interface()
	}
	return v
}

func full(v reflect.Value) (out reflect.Value, changed bool) {
	t := v.Type()
	if t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler) {
		return v, false
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v, false
		}
		of, changed := full(v.Elem())
		if changed {
			out = reflect.New(t.Elem())
			out.Elem().Set(of)
			return out, true
		}
	case reflect.Struct:
		return fullStruct(v)
	case reflect.Slice:
		return fullSlice(v)
	case reflect.Map:
		return fullMap(v)
	}
	return v, false
}

func fullStruct(v reflect.Value) (reflect.Value, bool) {
	out, changed := v, false
	for i := range v.NumField() {
		f := v.Type().Field(i)
		_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || strings.Contains(options, "omit") && v.Field(i).IsZero() {
			continue
		}
		if of, other := full(v.Field(i)); other {
			if !changed {
				out, changed = reflect.New(v.Type()).Elem(), true
				out.Set(v)
			}
			out.Field(i).Set(of)
		}
	}
	return out, changed
}

func fullSlice(v reflect.Value) (reflect.Value, bool) {
	if v.IsNil() {
		return reflect.MakeSlice(v.Type(), 0, 0), true
	}
	out, changed := v, false
	if !deep(v.Type().Elem()) {
		return v, false
	}
	for i := range v.Len() {
		if of, other := full(v.Index(i)); other {
			if !changed {
				out, changed = reflect.MakeSlice(v.Type(), v.Len(), v.Len()), true
				reflect.Copy(out, v)
			}
			out.Index(i).Set(of)
		}
	}
	return out, changed
}

func fullMap(v reflect.Value) (reflect.Value, bool) {
	if !v.IsNil() && !deep(v.Type().Elem()) {
		return v, false
	}
	out, changed := reflect.MakeMapWithSize(v.Type(), v.Len()), v.IsNil()
	for each := v.MapRange(); each.Next(); {
		of, other := full(each.Value())
		out.SetMapIndex(each.Key(), of)
		changed = changed || other
	}
	return out, changed
}

// deep says whether a value of the type can have a list in it.
func deep(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Struct, reflect.Slice, reflect.Map:
		return true
	}
	return false
}
