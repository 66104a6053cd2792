package connector

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// usualName is how many characters a name may have where no limit is given.
const usualName = 200

// Misnamed says why no system should be asked for a thing of that name, "" if it may: blank,
// with blanks around it, not UTF-8, with characters that nobody sees, or with more than max
// characters; 0 is 200. It completes "name … ".
func Misnamed(name string, max int) string {
	if max == 0 {
		max = usualName
	}
	switch {
	case name == "" || strings.TrimSpace(name) != name || !utf8.ValidString(name):
		return "is blank, begins or ends with a space, or isn't UTF-8"
	case strings.ContainsFunc(name, unseen):
		return "has characters that can't be seen"
	case utf8.RuneCountInString(name) > max:
		return fmt.Sprintf("has more than %d characters", max)
	}
	return ""
}

// unseen are control characters, and those of Unicode that turn or join what is around them.
func unseen(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r == 0xfeff
}
