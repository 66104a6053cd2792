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
		for _, of := range []string{"columns", "fields"} { // of tables, and of records in files
			all, _ := given[of].(map[string]any)
			for _, name := range keysOf(all) {
				look(p.with("attributes", "transforms", table, of, name), all[name])
			}
		}
	}
}
