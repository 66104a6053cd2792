package blueprint

import (
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

// checkPseudonyms refuses transforms that name a key which the blueprint doesn't have.
func (k *checker) checkPseudonyms(p source.Path, r tenure.ResourceSpec) {
	var look func(p source.Path, rule any)
	look = func(p source.Path, rule any) {
		v, _ := rule.(map[string]any)
		if name, is := v["pseudonym"].(string); is && !source.HasExpression(name) {
			if _, has := k.Blueprint.Pseudonyms[name]; !has {
				hint := source.DidYouMean(name, source.Keys(k.Blueprint.Pseudonyms))
				if hint == "" {
					hint = "name the key, with its own retention, under pseudonyms"
				}
				k.refuse(p.With("pseudonym"), hint, "the blueprint has no key %q for pseudonyms", name)
			}
		}
		members, _ := v["members"].(map[string]any)
		for _, member := range source.Keys(members) {
			look(p.With("members", member), members[member])
		}
		if each, has := v["each"]; has {
			look(p.With("each"), each)
		}
	}
	tables, _ := r.Attributes["transforms"].(map[string]any)
	for _, table := range source.Keys(tables) {
		given, _ := tables[table].(map[string]any)
		for _, of := range []string{"columns", "fields"} { // of tables, and of records in files
			all, _ := given[of].(map[string]any)
			for _, name := range source.Keys(all) {
				look(p.With("attributes", "transforms", table, of, name), all[name])
			}
		}
	}
}
