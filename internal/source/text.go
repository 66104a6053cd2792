package source

import (
	"fmt"
	"strings"
)

// Piece is a stretch of a text: literal, or the expression in one ${…}.
type Piece struct {
	Literal string
	Expr    string
	IsExpr  bool
	Offset  int // of the expression in the text, in bytes
}

// TextError is what is wrong with a text's form, and where.
type TextError struct {
	Offset  int // in bytes
	Message string
}

// Error is the message, without the offset.
func (e *TextError) Error() string { return e.Message }

// Split takes a text apart. ${ begins an expression that ends at the } that
// closes it, texts and braces within it counted; $${ is a literal ${. An error is a
// *TextError.
func Split(text string) ([]Piece, error) {
	var out []Piece
	var lit strings.Builder
	for i := 0; i < len(text); {
		rest := text[i:]
		switch {
		case strings.HasPrefix(rest, "$${"):
			lit.WriteString("${")
			i += 3
		case strings.HasPrefix(rest, "${"):
			end, err := closing(text, i+2)
			if err != nil {
				return nil, err
			}
			if lit.Len() > 0 {
				out = append(out, Piece{Literal: lit.String()})
				lit.Reset()
			}
			expr := text[i+2 : end]
			if strings.TrimSpace(expr) == "" {
				return nil, &TextError{i, "${} holds no expression"}
			}
			out = append(out, Piece{Expr: expr, IsExpr: true, Offset: i + 2})
			i = end + 1
		default:
			lit.WriteByte(text[i])
			i++
		}
	}
	if lit.Len() > 0 || len(out) == 0 {
		out = append(out, Piece{Literal: lit.String()})
	}
	return out, nil
}

// closing is where the } stands that ends the expression which begins at from.
func closing(text string, from int) (int, error) {
	depth := 0
	for i := from; i < len(text); i++ {
		switch c := text[i]; c {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i, nil
			}
			depth--
		case '"', '\'':
			end := stringEnd(text, i, from)
			if end < 0 {
				return 0, &TextError{i, fmt.Sprintf("the text that begins with %c isn't closed", c)}
			}
			i = end
		}
	}
	return 0, &TextError{from - 2, "${ isn't closed by }"}
}

// stringEnd is the last byte of the CEL string literal that begins at i, or -1.
// A literal with the prefix r knows no escapes.
func stringEnd(text string, i, from int) int {
	quote := text[i : i+1]
	if strings.HasPrefix(text[i:], strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	raw := false
	for j := i - 1; j >= from && j >= i-2; j-- {
		raw = raw || text[j] == 'r' || text[j] == 'R'
		if !strings.ContainsRune("rRbB", rune(text[j])) {
			break
		}
	}
	for j := i + len(quote); j < len(text); j++ {
		switch {
		case text[j] == '\\' && !raw:
			j++
		case strings.HasPrefix(text[j:], quote):
			return j + len(quote) - 1
		}
	}
	return -1
}

// HasExpression says whether a text holds ${…}, or tries to.
func HasExpression(text string) bool {
	return strings.Contains(strings.ReplaceAll(text, "$${", ""), "${")
}
