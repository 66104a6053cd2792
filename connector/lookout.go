package connector

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
)

// A lookout finds secrets in texts. It looks at a text as it stands, at what its escapes
// stand for, and at what its runs of base64 and of hexadecimal digits hold, and there again.
// Each of these it compares folded (see fold) with each form of each secret. Time and room
// grow with the text alone.
type lookout struct {
	secrets []string
	learn   sync.Once
	forms   []form
	bare    []string          // secrets that are too short without their blanks to be folded
	grams   map[uint64][]gram // by gramLen bytes of forms
	bits    [1 << 10]uint64   // which hashes of grams there are
}

// form is a way in which a secret is written, folded.
type form struct {
	text   string
	end    int    // how much of its beginning or its end counts; len(text): all of it alone
	inner  int    // and how much anywhere
	raw    bool   // it is the secret itself, and a part of it may be a word
	spaced string // with its blanks, if it counts with these alone
	cased  bool   // and in this letter case
}

// gram is a place of a form where its bytes are looked for.
type gram struct{ form, at int }

var seed = maphash.MakeSeed()

const (
	gramLen  = 6
	gramMask = 1<<(8*gramLen) - 1
	gramMix  = 0x9e3779b97f4a7c15

	leastCut = 16 // a secret that is shorter is hidden as a whole alone
	partLen  = 12 // of a secret's characters

	// What was encoded again and again is looked at so deep: base64 or hexadecimal digits
	// within each other, and escapes of escapes within each.
	deepest = 2
	escaped = 3
)

func newLookout(secrets []string) *lookout { return &lookout{secrets: secrets} }

// prepare makes the forms when they are first needed.
func (l *lookout) prepare() {
	l.grams = make(map[uint64][]gram)
	for _, secret := range l.secrets {
		l.add(secret)
	}
	for i, f := range l.forms {
		// Of as many bytes in a row as count, one of these grams is a part.
		for at := 0; at+gramLen <= len(f.text); at += max(1, min(f.end, f.inner)-gramLen+1) {
			key := key(f.text[at:])
			l.grams[key] = append(l.grams[key], gram{i, at})
			h := hash(key)
			l.bits[h>>6] |= 1 << (h & 63)
		}
	}
}

func key(s string) uint64 {
	var b [8]byte
	copy(b[:gramLen], s)
	return binary.LittleEndian.Uint64(b[:])
}

func hash(key uint64) uint64 { return key * gramMix >> 48 }

// add learns a secret's forms.
func (l *lookout) add(secret string) {
	text := folded(secret)
	if len(text) < leastHidden {
		l.bare = append(l.bare, secret)
		return
	}
	words, letters := wordy(secret)
	if strings.Trim(secret, digitsOf[16]) == "" && strings.ContainsAny(secret, digitsOf[10]) {
		words = 0
	}
	random := 2*words < len(secret)
	own := form{text: text, end: len(text), inner: len(text), raw: words > 0}
	cut := func(f form, num, den, slack int) form {
		f.end, f.inner = len(f.text), len(f.text)
		if random && len(secret) >= leastCut && token(secret) {
			ends := partLen
			if letters {
				ends = min(partLen, len(secret)/2)
			}
			f.end, f.inner = min(len(f.text), ends*num/den-slack), min(len(f.text), partLen*num/den)
		}
		return f
	}
	if !random && len(secret) < leastCut {
		own.cased = words == len(secret)
		own.spaced = spaced(secret, own.cased)
	}
	own = cut(own, 1, 1, 0)
	l.forms = append(l.forms, own)
	if plus := strings.ReplaceAll(secret, " ", "+"); plus != secret { // as URLs' queries have it
		own.text, own.spaced = folded(plus), spaced(plus, own.cased && own.spaced != "")
		l.forms = append(l.forms, cut(own, 1, 1, 0))
	}
	if plain := plainly(secret); plain != secret && len(folded(plain)) >= leastHidden {
		l.forms = append(l.forms, cut(form{text: folded(plain), raw: true}, 1, 1, 0))
	}
	l.forms = append(l.forms, cut(form{text: hex.EncodeToString([]byte(secret))}, 2, 1, 0))
	for before := range 3 {
		// What stands before it in a longer text moves it by so many bytes, and shares its
		// first digit with it as what follows shares the last.
		digits := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), secret...))
		l.forms = append(l.forms, cut(form{text: folded(digits[(8*before+5)/6 : 8*(before+len(secret))/6])}, 4, 3, 1)) // a digit stands for parts of two characters
	}
}

// token says whether a secret is one random text, parts of which are nothing but parts of a
// secret: not an address, and not words with blanks between.
func token(secret string) bool {
	return strings.HasPrefix(secret, "-----BEGIN ") || !strings.Contains(secret, "://") && !strings.ContainsAny(strings.TrimSpace(secret), " \t\n\r")
}

// plainly is a text whose escapes stand for themselves no longer.
func plainly(text string) string {
	data := []byte(text)
	for range escaped {
		for i := range marks {
			data, _, _ = unescape(data, marks[i], false)
		}
	}
	return string(data)
}

// hide is a text without the secrets.
func (l *lookout) hide(text string) string {
	l.learn.Do(l.prepare)
	for _, w := range l.bare {
		text = strings.ReplaceAll(text, w, tenure.Secret{}.String())
	}
	// Most texts hold none, and where it would be needn't be kept.
	quick := search{lookout: l}
	quick.look([]byte(text), nil, deepest)
	if !quick.found {
		return text
	}
	s := search{lookout: l}
	s.look([]byte(text), func(a, b int) (int, int) { return a, b }, deepest)
	return s.without(text)
}

// search is one look at a text.
type search struct {
	*lookout
	found bool
	spans [][2]int       // where, in the text
	until []int          // of each form: what ends before was seen already
	seen  map[uint64]int // by the sums of what was looked at: how much deeper
	buf   []byte
	at    []int32
	run   run
	held  []byte          // by a run
	tried map[uint64]bool // by the sums of runs
	inner *search         // in what runs hold
}

// back gives where a part of what is looked at stands in the text; nil while only whether
// there is something matters.
type back func(a, b int) (int, int)

// over says that nothing more needs to be looked at.
func (s *search) over(b back) bool { return s.found && b == nil }

// look finds the secrets in what a part of the text stands for.
func (s *search) look(data []byte, b back, deep int) {
	if !escapes(data) {
		s.here(data, b, deep)
		return
	}
	s.seen = map[uint64]int{}
	s.peel(data, b, deep, escaped)
}

// here finds the secrets in data as it is.
func (s *search) here(data []byte, b back, deep int) {
	if s.match(data, b); deep > 0 && !s.over(b) {
		s.decode(data, b, deep-1)
	}
}

// peel looks at data, and at what its escapes stand for, a kind after the other in each
// order: which of two was written last can't be told.
func (s *search) peel(data []byte, b back, deep, left int) {
	sum := maphash.Bytes(seed, data)
	before, known := s.seen[sum]
	if known && before >= left {
		return
	}
	if s.seen[sum] = left; !known {
		if s.here(data, b, deep); s.over(b) {
			return
		}
	}
	if !escapes(data) {
		return
	}
	for i := range marks {
		if left == 0 {
			return
		}
		next, at, changed := unescape(data, marks[i], b != nil)
		if !changed {
			continue
		}
		above := b
		if b != nil {
			above = func(from, to int) (int, int) { return b(int(at[from]), int(at[to])) }
		}
		if s.peel(next, above, deep, left-1); s.over(b) {
			return
		}
	}
}

// match finds the secrets in data.
func (s *search) match(data []byte, b back) {
	if len(data) < leastHidden {
		return
	}
	var at *[]int32
	if s.at = s.at[:0]; b != nil {
		at = &s.at
	}
	s.buf = fold(s.buf[:0], data, at)
	n := len(s.buf)
	text := append(s.buf, 0, 0, 0, 0, 0, 0, 0, 0) // so that each gram can be read as 8 bytes
	s.buf = text
	if b != nil {
		s.until = append(s.until[:0], make([]int, len(s.forms))...)
	}
	for i := 0; i+gramLen <= n; i++ {
		k := binary.LittleEndian.Uint64(text[i:]) & gramMask
		h := hash(k)
		if s.bits[h>>6]>>(h&63)&1 == 0 {
			continue
		}
		for _, g := range s.grams[k] {
			s.try(g, text[:n], i, data, b)
		}
		if s.over(b) {
			return
		}
	}
}

// try takes a gram for a part of its form, and notes as much as is there.
func (s *search) try(g gram, text []byte, i int, data []byte, b back) {
	f := &s.forms[g.form]
	if b != nil && i+gramLen <= s.until[g.form] {
		return
	}
	from, to := g.at, g.at+gramLen
	for from > 0 && i-(g.at-from) > 0 && f.text[from-1] == text[i-(g.at-from)-1] {
		from--
	}
	for to < len(f.text) && i+to-g.at < len(text) && f.text[to] == text[i+to-g.at] {
		to++
	}
	n := to - from
	if enough := n >= f.inner || (from == 0 || to == len(f.text)) && n >= f.end; !enough {
		return
	}
	if n < len(f.text) && f.raw {
		if words, _ := wordy(f.text[from:to]); 2*words > n {
			return
		}
	}
	if b == nil {
		s.found = true
		return
	}
	start, end := i-(g.at-from), i+to-g.at
	s.until[g.form] = end
	first, last := int(s.at[start]), int(s.at[end-1])
	_, size := utf8.DecodeRune(data[last:])
	if f.spaced != "" && spaced(string(data[first:last+size]), f.cased) != f.spaced {
		return
	}
	first, last = b(first, last+size)
	s.spans, s.found = append(s.spans, [2]int{first, last}), true
}

// decode looks at what runs of digits hold.
func (s *search) decode(data []byte, b back, deep int) {
	if len(data) < leastRun {
		return
	}
	if s.inner == nil {
		s.inner, s.tried = &search{lookout: s.lookout}, map[uint64]bool{}
	}
	in := s.inner
	for _, base := range bases {
		for run := range base.runs(data, &s.run) {
			if b == nil { // most runs stay as they are whatever else is unescaped
				sum := maphash.Bytes(seed, run.digits) + uint64(base.bits)
				if s.tried[sum] {
					continue
				}
				s.tried[sum] = true
			}
			for shift := range base.shifts {
				var above back
				if b != nil {
					above = func(from, to int) (int, int) {
						first, last := shift+from*8/base.bits, shift+(to*8+base.bits-1)/base.bits
						first, last = int(run.at[first]), int(run.at[min(last, len(run.at))-1])+1
						return b(first, last)
					}
				}
				s.held = base.decode(s.held[:0], run.digits[shift:])
				in.spans, in.found = in.spans[:0], false
				in.look(s.held, above, deep)
				s.spans, s.found = append(s.spans, in.spans...), s.found || in.found
				if s.over(b) {
					return
				}
			}
		}
	}
}

// without is the text without what was found. What overlaps is hidden as one.
func (s *search) without(text string) string {
	slices.SortFunc(s.spans, func(a, b [2]int) int { return a[0] - b[0] })
	var out bytes.Buffer
	end, hidden := 0, -1
	for _, span := range s.spans {
		if span[0] >= end || hidden < 0 {
			out.WriteString(text[end:span[0]])
			out.WriteString(tenure.Secret{}.String())
			hidden = span[0]
		}
		end = max(end, span[1])
	}
	out.WriteString(text[end:])
	return out.String()
}
