package main

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// cells is how wide a text is on a terminal; of several lines, the widest.
func cells(s string) (width int) {
	c := runewidth.Condition{StrictEmojiNeutral: true}
	for line := range strings.SplitSeq(s, "\n") {
		width = max(width, c.StringWidth(line))
	}
	return width
}

// table prints rows: ruled on a terminal, in aligned columns elsewhere.
func (p *page) table(headers []string, rows [][]string) {
	for _, r := range rows {
		for i := range r {
			if r[i] = inline(r[i]); r[i] == "" {
				r[i] = "-"
			}
		}
	}
	widths := make([]int, len(headers))
	for _, r := range append([][]string{headers}, rows...) {
		for i, cell := range r {
			widths[i] = max(widths[i], cells(cell))
		}
	}
	if p.terminal {
		p.ruled(headers, rows, narrowed(widths, p.width-1-3*len(widths)))
		return
	}
	for _, r := range append([][]string{headers}, rows...) {
		var b strings.Builder
		for i, cell := range r {
			b.WriteString(cell)
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-cells(cell)+2))
			}
		}
		p.print(b.String() + "\n")
	}
}

// narrowed takes from the widest columns what all of them have beyond a sum.
func narrowed(widths []int, most int) []int {
	sum := 0
	for _, w := range widths {
		sum += w
	}
	for ; sum > most; sum-- {
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= 2 { // a wide character must fit
			break
		}
		widths[widest]--
	}
	return widths
}

func (p *page) ruled(headers []string, rows [][]string, widths []int) {
	rule := func(left, between, right string) {
		bars := make([]string, len(widths))
		for i, w := range widths {
			bars[i] = strings.Repeat("─", w+2)
		}
		p.print(left + strings.Join(bars, between) + right + "\n")
	}
	row := func(r []string, style string) {
		lines, most := make([][]string, len(r)), 1
		for i, cell := range r {
			lines[i] = wrapped(cell, widths[i])
			most = max(most, len(lines[i]))
		}
		for n := range most {
			var b strings.Builder
			for i, w := range widths {
				text := ""
				if i < len(lines) && n < len(lines[i]) {
					text = lines[i][n]
				}
				b.WriteString("│ " + p.styled(style, text) + strings.Repeat(" ", w-cells(text)+1))
			}
			p.print(b.String() + "│\n")
		}
	}
	rule("╭", "┬", "╮")
	row(headers, bold)
	rule("├", "┼", "┤")
	for _, r := range rows {
		row(r, "")
	}
	rule("╰", "┴", "╯")
}

// wrapped breaks a text into lines that aren't wider: between words, and within one that is.
func wrapped(s string, width int) (lines []string) {
	c := runewidth.Condition{StrictEmojiNeutral: true}
	for text := range strings.SplitSeq(s, "\n") {
		if cells(text) <= width {
			lines = append(lines, text)
			continue
		}
		line := ""
		for _, word := range strings.Fields(text) {
			switch {
			case line == "":
				line = word
			case cells(line)+1+cells(word) <= width:
				line += " " + word
			default:
				lines, line = append(lines, line), word
			}
			if cells(line) > width {
				broken := strings.Split(c.Wrap(line, width), "\n")
				lines, line = append(lines, broken[:len(broken)-1]...), broken[len(broken)-1]
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// Select Graphic Rendition (ECMA-48 §8.3.117).
const (
	bold    = "1"
	boldRed = "1;31"
)

// styled is a text in a style, where there is colour.
func (p *page) styled(style, s string) string {
	if !p.colour || style == "" || s == "" {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[m"
}
