package source

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// credentials are the forms of well-known secrets, as their makers publish them so that
// scanners find them.
var credentials = []struct {
	kind string
	form *regexp.Regexp
}{
	{"a private key (PEM)", regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)},
	{"an access key of AWS", regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`)},
	{"a token of GitHub", regexp.MustCompile(`\b(?:gh[pousr]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{22,})`)},
	{"a token of GitLab", regexp.MustCompile(`\bglpat-[0-9A-Za-z_-]{20,}`)},
	{"a live key of Stripe", regexp.MustCompile(`\b[sr]k_live_[0-9A-Za-z]{16,}`)},
	{"a token of Slack", regexp.MustCompile(`\bxox[abeoprs]-[0-9A-Za-z-]{10,}`)},
	{"a key of Google's", regexp.MustCompile(`\bAIza[0-9A-Za-z_-]{35}`)},
	{"a token of OpenBao or Vault", regexp.MustCompile(`\bhv[sb]\.[0-9A-Za-z_-]{24,}`)},
	{"a key of age", regexp.MustCompile(`\bAGE-SECRET-KEY-1[0-9A-Z]{20,}`)},
	{"an address with a password", regexp.MustCompile(`://[^/@\s:${}"']+:[^/@\s${}"']+@`)},
	{"a signed token (JWT)", regexp.MustCompile(`\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}`)},
}

// Credential says which kind of secret a text holds, and where, in bytes; "" if it holds none
// of a form that is known.
func Credential(text string) (kind string, from, to int) {
	for _, c := range credentials {
		if at := c.form.FindStringIndex(text); at != nil {
			return c.kind, at[0], at[1]
		}
	}
	return "", 0, 0
}

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
		for kind, from, to := Credential(line); kind != ""; kind, from, to = Credential(line) {
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
