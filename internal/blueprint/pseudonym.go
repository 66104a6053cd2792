package blueprint

import "github.com/tenurehq/tenure"

// checkPseudonyms refuses transforms that name a key which the blueprint doesn't have.
func (k *checker) checkPseudonyms(p path, r tenure.ResourceSpec) {
	var look func(p path, rule any)
	look = func(p path, rule any) {
		v, _ := rule.(map[string]any)
		if name, is := v["pseudonym"].(string); is && !hasExpression(name) {
			if _, has := k.Blueprint.Pseudonyms[name]; !has {
				hint := didYouMean(name, keysOf(k.Blueprint.Pseudonyms))
				if hint == "" {
					hint = "name the key, with its own retention, under pseudonyms"
				}
				k.refuse(p.with("pseudonym"), hint, "the blueprint has no key %q for pseudonyms", name)
			}
		}
		members, _ := v["members"].(map[string]any)
		for _, path := range keysOf(members) {
			look(p.with("members", path), members[path])
		}
		if each, has := v["each"]; has {
			look(p.with("each"), each)
		}
	}
	tables, _ := r.Attributes["transforms"].(map[string]any)
	for _, table := range keysOf(tables) {
		given, _ := tables[table].(map[string]any)
		columns, _ := given["columns"].(map[string]any)
		for _, column := range keysOf(columns) {
			look(p.with("attributes", "transforms", table, "columns", column), columns[column])
		}
	}
}
