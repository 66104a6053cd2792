package source

import (
	"strings"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
)

// betrayed finds the secrets in the file, each a problem, and blots all of them out first,
// so that no excerpt shows one. Of a private key the lines up to its end go too.
func (s *File) betrayed() (found Problems) {
	type place struct {
		at   position
		kind string
	}
	var places []place
	inKey := false
	for i, line := range s.lines {
		if inKey {
			inKey = !strings.Contains(line, "-----END ")
			s.lines[i] = strings.Repeat("*", utf8.RuneCountInString(line))
			continue
		}
		for kind, from, to := tenure.KnownSecret(line); kind != ""; kind, from, to = tenure.KnownSecret(line) {
			places = append(places, place{position{i + 1, utf8.RuneCountInString(line[:from]) + 1}, kind})
			if strings.HasPrefix(line[from:], "-----BEGIN ") {
				inKey, to = !strings.Contains(line[to:], "-----END "), len(line)
			}
			line = line[:from] + strings.Repeat("*", utf8.RuneCountInString(line[from:to])) + line[to:]
			s.lines[i] = line
		}
	}
	for _, p := range places {
		found = append(found, s.problem(p.at, nil, "this looks like "+p.kind, "keep secrets out of a "+s.kind.Noun+", which many may read: name where one stands, as env:NAME, file:PATH or vault:MOUNT/PATH#FIELD in systems.yaml; and replace this one"))
	}
	return found
}
