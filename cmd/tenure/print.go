package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"

	"github.com/tenurehq/tenure"
)

// show prints a command's result: as one JSON document, or as human prints it.
func (a *app) show(v any, human func(*page)) error {
	if a.output == "json" {
		if r := reflect.ValueOf(v); r.Kind() == reflect.Slice && r.IsNil() {
			v = []any{}
		}
		return writeJSON(a.out, v)
	}
	p := &page{w: a.out, now: a.now(), width: 100}
	if f, ok := a.out.(*os.File); ok && isTerminal(f) {
		p.terminal = true
		p.colour = !a.noColor && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 40 {
			p.width = w
		}
	}
	human(p)
	return p.err
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return tenure.Errorf(tenure.Internal, "print: %w", err)
	}
	return nil
}

// page is where a result is printed for a person.
type page struct {
	w        io.Writer
	now      time.Time
	width    int
	terminal bool
	colour   bool
	err      error // the first failure to write
}

func (p *page) print(s string) {
	if p.err == nil {
		if _, err := io.WriteString(p.w, s); err != nil {
			p.err = tenure.Errorf(tenure.Unavailable, "print: %w", err)
		}
	}
}

// line prints one line; what stands in it can't steer the terminal.
func (p *page) line(format string, args ...any) { p.print(p.text(format, args...) + "\n") }

func (p *page) text(format string, args ...any) string {
	for i, arg := range args {
		if v := reflect.ValueOf(arg); v.IsValid() && v.Kind() == reflect.String {
			args[i] = clean(v.String())
		}
	}
	return fmt.Sprintf(format, args...)
}

// loud prints a line that must not be overlooked.
func (p *page) loud(format string, args ...any) {
	p.print(p.styled(boldRed, p.text(format, args...)) + "\n")
}

// title prints a heading.
func (p *page) title(format string, args ...any) {
	p.print("\n" + p.styled(bold, p.text(format, args...)) + "\n")
}

// fields prints pairs of a name and a value, leaving out those without a value.
func (p *page) fields(pairs ...string) {
	width := 0
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			width = max(width, len(pairs[i]))
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			p.print(fmt.Sprintf("%-*s  %s\n", width, pairs[i], clean(pairs[i+1])))
		}
	}
}

// next prints what to do now.
func (p *page) next(commands ...string) {
	for _, c := range commands {
		p.line("next: %s", c)
	}
}

// when is a moment in RFC 3339, UTC, with words for how far away it is.
func (p *page) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339) + " (" + relative(t.Sub(p.now)) + ")"
}

// relative says a distance in its largest unit.
func relative(d time.Duration) string {
	ahead := d >= 0
	d = d.Abs()
	units := []struct {
		of   time.Duration
		name string
	}{{365 * 24 * time.Hour, "year"}, {24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}
	for _, u := range units {
		n := int(d / u.of)
		if n < 1 {
			continue
		}
		s := fmt.Sprintf("%d %s", n, u.name)
		if n > 1 {
			s += "s"
		}
		if ahead {
			return "in " + s
		}
		return s + " ago"
	}
	return "now"
}

// clean makes control characters visible, so that what a system or a customer
// chose as a name can't steer the terminal. Line feeds and tabs stay.
func clean(s string) string { return visible(s, steers) }

// inline is clean for one line: line feeds and tabs are blanks, and separators of lines show, too, so that
// no cell of a table makes a row.
func inline(s string) string {
	s = strings.NewReplacer("\n", " ", "\t", " ").Replace(s)
	return visible(s, func(r rune) bool { return r == '\u2028' || r == '\u2029' || steers(r) })
}

// visible writes those characters by their numbers.
func visible(s string, which func(rune) bool) string {
	if strings.IndexFunc(s, which) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if which(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func steers(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r))
}

// clip shortens a text to n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

func short(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	if len(hex) > 12 {
		return hex[:12]
	}
	return hex
}
