package postgres

import "strings"

// aclItem is what one grantor gave one role on one object.
type aclItem struct {
	grantee string // "" is PUBLIC
	letters string // PostgreSQL §5.7, table 5.1; an asterisk after one is its grant option
	grantor string
}

// may says whether the item gives one of the rights.
func (i aclItem) may(letters string) bool { return strings.ContainsAny(i.letters, letters) }

var rightNames = map[rune]string{
	'r': "select", 'w': "update", 'a': "insert", 'd': "delete", 'D': "truncate", 'x': "references", 't': "trigger", 'm': "maintain",
	'U': "usage", 'C': "create", 'c': "connect", 'T': "temporary", 'X': "execute", 's': "set", 'A': "alter system",
}

// words are the rights by name; with the grant option where they have it.
func words(letters string) string {
	var out []string
	for _, l := range letters {
		if l == '*' {
			out[len(out)-1] += " (may be passed on)"
			continue
		}
		out = append(out, rightNames[l])
	}
	return strings.Join(out, ", ")
}

// since is what a list has beyond what it had when the object was made.
func since(now, initial []aclItem) (out []aclItem) {
	for _, i := range now {
		for _, was := range initial {
			if was.grantee == i.grantee && was.grantor == i.grantor {
				i.letters = lettersBeyond(i.letters, was.letters)
			}
		}
		if i.letters != "" {
			out = append(out, i)
		}
	}
	return out
}

// lettersBeyond are the rights, each with its grant option, that aren't among others.
func lettersBeyond(letters, others string) string {
	var b strings.Builder
	for i := 0; i < len(letters); i++ {
		one := letters[i : i+1]
		if strings.HasPrefix(letters[i+1:], "*") {
			one += "*"
			i++
		}
		if !strings.Contains(others, one) {
			b.WriteString(one)
		}
	}
	return b.String()
}

// parseACL reads the text of an aclitem[], as the server writes it.
func parseACL(text string) (out []aclItem) {
	text = strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}")
	for text != "" {
		var one string
		one, text = element(text)
		var item aclItem
		item.grantee, one = roleName(one)
		item.letters, one, _ = strings.Cut(strings.TrimPrefix(one, "="), "/")
		item.grantor, _ = roleName(one)
		out = append(out, item)
	}
	return out
}

// element cuts the first element off an array's text.
func element(text string) (one, rest string) {
	if text[0] != '"' {
		one, rest, _ = strings.Cut(text, ",")
		return one, rest
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
			if i < len(text) {
				b.WriteByte(text[i])
			}
		case '"':
			return b.String(), strings.TrimPrefix(text[i+1:], ",")
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String(), ""
}

// roleName cuts a role's name off the begin of an item's text.
func roleName(text string) (name, rest string) {
	if !strings.HasPrefix(text, `"`) {
		if i := strings.IndexByte(text, '='); i >= 0 {
			return text[:i], text[i:]
		}
		return text, ""
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '"' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), text[i+1:]
	}
	return b.String(), ""
}
