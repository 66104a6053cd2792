package connector

import (
	"bytes"
	"html"
	"iter"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// foldedTo is what becomes of an ASCII character that is folded; 0 goes.
var foldedTo = func() (t [utf8.RuneSelf]byte) {
	for c := byte('!'); c < 0x7f; c++ {
		t[c] = c
		if 'A' <= c && c <= 'Z' {
			t[c] = c + 'a' - 'A'
		}
	}
	t['-'], t['_'] = '+', '/' // as base64 of URLs has these
	return t
}()

// fold adds data to dst in one letter case, without blanks and control characters, and with
// the digits of base64 in one alphabet. At gets where each of its bytes stood.
func fold(dst, data []byte, at *[]int32) []byte {
	n := len(dst)
	dst = append(dst, make([]byte, len(data))...)
	for i := 0; i < len(data); {
		c := data[i]
		if c < utf8.RuneSelf {
			if to := foldedTo[c]; to != 0 {
				dst[n] = to
				n++
				if at != nil {
					*at = append(*at, int32(i))
				}
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(data[i:])
		before := n
		switch {
		case r == utf8.RuneError && size == 1:
			dst[n] = c
			n++
		case blank(r):
		default:
			// A letter may take another number of bytes in another case.
			dst = utf8.AppendRune(dst[:n], unicode.ToLower(unicode.ToUpper(r)))
			n = len(dst)
			if room := n + len(data) - i - size; cap(dst) < room {
				dst = append(dst, make([]byte, room-n)...)
			} else {
				dst = dst[:room]
			}
		}
		for ; at != nil && before < n; before++ {
			*at = append(*at, int32(i))
		}
		i += size
	}
	return dst[:n]
}

func folded(text string) string { return string(fold(nil, []byte(text), nil)) }

// blank says whether a character shows as nothing, or as space.
func blank(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || r < ' ' || r == 0x7f
}

// spaced is a text with one space for each row of blanks, and in one letter case if not cased.
func spaced(text string, cased bool) string {
	var out []rune
	for _, r := range text {
		switch {
		case blank(r) && len(out) > 0 && out[len(out)-1] == ' ':
		case blank(r):
			out = append(out, ' ')
		case cased:
			out = append(out, r)
		default:
			out = append(out, unicode.ToLower(unicode.ToUpper(r)))
		}
	}
	return string(bytes.TrimSpace([]byte(string(out))))
}

// marks are what escapes begin with, a kind each.
const marks = `\%&`

func escapes(data []byte) bool {
	for i := range marks {
		if bytes.IndexByte(data, marks[i]) >= 0 {
			return true
		}
	}
	return false
}

// unescape is data with what its escapes of one kind stand for, and where each byte of that
// begins in data (and, last, where it ends) if that is wanted. Changed says whether there
// are any.
func unescape(data []byte, mark byte, places bool) (out []byte, at []int32, changed bool) {
	read := map[byte]func(out, data []byte) ([]byte, int){'\\': backslash, '%': percent, '&': entity}[mark]
	if bytes.IndexByte(data, mark) < 0 {
		return data, nil, false
	}
	out = make([]byte, 0, len(data)+utf8.UTFMax)
	if places {
		at = make([]int32, 0, len(data)+1)
	}
	for i := 0; i < len(data); {
		n := bytes.IndexByte(data[i:], mark)
		if n < 0 {
			n = len(data) - i
		}
		before := len(out)
		out = append(out, data[i:i+n]...)
		for ; places && before < len(out); before++ {
			at = append(at, int32(i))
			i++
		}
		if !places {
			i += n
		}
		if i == len(data) {
			break
		}
		if out, n = read(out, data[i:]); n == 0 {
			out, n = append(out, mark), 1
		} else {
			changed = true
		}
		for ; places && before < len(out); before++ {
			at = append(at, int32(i))
		}
		i += n
	}
	if places {
		at = append(at, int32(len(data)))
	}
	return out, at, changed
}

// cursor reads an escape, whose parts a line break or other blanks may stand between.
type cursor struct {
	data []byte
	at   int
}

// next is the next byte that is no blank, taken if it is wanted; 0 at the end.
func (c *cursor) next(wanted string) byte {
	i := c.at
	for i < len(c.data) {
		r, size := rune(c.data[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(c.data[i:])
		}
		if !blank(r) {
			break
		}
		i += size
	}
	if i == len(c.data) {
		return 0
	}
	if strings.IndexByte(wanted, c.data[i]) >= 0 {
		c.at = i + 1
	}
	return c.data[i]
}

// number takes the digits in a base that come next, at most limit of them, and says how many
// there were.
func (c *cursor) number(base, limit int) (v rune, n int) {
	for ; n < limit; n++ {
		d := c.next(digitsOf[base])
		if int(unhex[d]) >= base {
			break
		}
		v = v*rune(base) + rune(unhex[d])
	}
	return v, n
}

var digitsOf = map[int]string{8: "01234567", 10: "0123456789", 16: "0123456789abcdefABCDEF"}

// Each of these adds what an escape at the beginning of data stands for, and says how long it
// is: 0 is none.

func percent(out, data []byte) ([]byte, int) {
	c := cursor{data, 1}
	if v, n := c.number(16, 2); n == 2 {
		return append(out, byte(v)), c.at
	}
	return out, 0
}

func backslash(out, data []byte) ([]byte, int) {
	if len(data) < 2 {
		return out, 0
	}
	c := cursor{data, 1}
	switch c.next(`xXuU\`) {
	case '\\':
		return append(out, '\\'), c.at
	case 'x', 'X':
		if v, n := c.number(16, 2); n == 2 {
			return append(out, byte(v)), c.at
		}
		return append(out, data[1]), 2
	case 'U':
		long := c
		if v, n := long.number(16, 8); n == 8 && v <= unicode.MaxRune {
			return utf8.AppendRune(out, v), long.at
		}
		fallthrough // in the other case
	case 'u':
		if c.next("{") == '{' {
			if v, n := c.number(16, 6); n > 0 && c.next("}") == '}' {
				return utf8.AppendRune(out, v), c.at
			}
			return append(out, data[1]), 2
		}
		v, n := c.number(16, 4)
		if n < 4 {
			return append(out, data[1]), 2
		}
		low := c
		if utf16.IsSurrogate(v) && low.next(`\`) == '\\' && low.next("u") == 'u' {
			if w, m := low.number(16, 4); m == 4 {
				return utf8.AppendRune(out, utf16.DecodeRune(v, w)), low.at
			}
		}
		return utf8.AppendRune(out, v), c.at
	}
	switch data[1] {
	case 'a', 'b', 'e', 'f', 'n', 'r', 't', 'v', '\n', '\r':
		return append(out, '\n'), 2 // goes as every blank
	}
	if '0' <= data[1] && data[1] <= '7' {
		v, _ := c.number(8, 3)
		return append(out, byte(v)), c.at
	}
	return append(out, data[1]), 2
}

// longestEntity is how long a named entity is looked for, with the blanks within it.
const longestEntity = 40

func entity(out, data []byte) ([]byte, int) {
	c := cursor{data, 1}
	if c.next("#") == '#' {
		base := 10
		if c.next("xX")|' ' == 'x' {
			base = 16
		}
		v, n := c.number(base, 7)
		if n == 0 {
			return out, 0
		}
		c.next(";")
		return utf8.AppendRune(out, v), c.at
	}
	end := bytes.IndexByte(data[:min(len(data), longestEntity)], ';')
	if end < 0 {
		return out, 0
	}
	name := strings.Join(strings.FieldsFunc(string(data[:end+1]), blank), "")
	if text := html.UnescapeString(name); text != name {
		return append(out, text...), end + 1
	}
	return out, 0
}

// base is a way to write bytes as digits.
type base struct {
	digits *[256]byte // their values; 255: none
	bits   int        // of a digit
	shifts int        // at how many of its digits a byte may begin
}

// leastRun is how many digits are looked at as such.
const leastRun = 12

// run is digits in a row; lines of at least leastRun of them go on in the next.
type run struct {
	digits []byte
	at     []int32 // where each stands
}

var (
	unhex    = values("0123456789abcdef", "0123456789ABCDEF")
	unbase64 = values("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
	bases    = []base{{unbase64, 6, 4}, {unhex, 4, 2}}
)

func values(alphabets ...string) *[256]byte {
	var t [256]byte
	for i := range t {
		t[i] = 255
	}
	for _, a := range alphabets {
		for i := range len(a) {
			t[a[i]] = byte(i)
		}
	}
	return &t
}

// runs gives the runs in data, in r, each until the next one.
func (b base) runs(data []byte, r *run) iter.Seq[*run] {
	return func(yield func(*run) bool) {
		for i := 0; i < len(data); i++ {
			from := i
			for i < len(data) && b.digits[data[i]] < 255 {
				i++
			}
			if i-from < leastRun {
				continue
			}
			r.digits, r.at = r.digits[:0], r.at[:0]
			for {
				for at := from; at < i; at++ {
					r.digits, r.at = append(r.digits, b.digits[data[at]]), append(r.at, int32(at))
				}
				line := i - from
				for from = i; from < len(data) && (data[from] <= ' ' || data[from] == 0x7f); from++ {
				}
				if line < leastRun || from == i || from == len(data) || b.digits[data[from]] == 255 {
					break
				}
				for i = from; i < len(data) && b.digits[data[i]] < 255; i++ {
				}
			}
			if !yield(r) {
				return
			}
		}
	}
}

// decode adds to out what digits hold.
func (b base) decode(out, digits []byte) []byte {
	v, n := uint32(0), 0
	for _, d := range digits {
		v, n = v<<b.bits|uint32(d), n+b.bits
		if n >= 8 {
			n -= 8
			out = append(out, byte(v>>n))
		}
	}
	return out
}

// pairs are the commonest pairs of letters in English words.
const pairs = "th he in er an re nd at on nt ha es st en ed to it ou ea hi is or ti as te et ng of al de se le sa si ar ve ra ld ur io ne me ro ri li ic co ma ce ch ll om el us ho ta la un ec no ac di lo pe tr ca il ns so po pr su em fo op ss ol am ct mo ge im id ee ut ot wo pa be bl ay ke ow ly ad vi "

var common = func() (t [26][26]bool) {
	for i := 0; i < len(pairs); i += 3 {
		t[pairs[i]-'a'][pairs[i+1]-'a'] = true
	}
	return t
}()

// wordy is how many bytes of a text stand in what reads like words: letters in a row, four or
// more, half of whose pairs are common ones; and whether it has letters.
func wordy(text string) (n int, letters bool) {
	for i := 0; i < len(text); {
		from, known := i, 0
		for ; i < len(text) && letter(text[i]); i++ {
			if i > from && common[text[i-1]|' '-'a'][text[i]|' '-'a'] {
				known++
			}
		}
		size := i - from
		letters = letters || size > 0
		if size >= 4 && 2*known >= size-1 {
			n += size
		}
		if i == from {
			i++
		}
	}
	return n, letters
}

func letter(c byte) bool { return 'a' <= c|' ' && c|' ' <= 'z' }
