package postgres

// everything is what a statement runs at that stands under no condition.
var everything = events{true, true, true}

// branch is an if, a case, a loop or a block of PL/pgSQL, around the statements that come.
type branch struct {
	word  string // if, case, loop or begin
	taken events // of the conditions so far: those that ask for nothing but the event
	above events
	left  events // at which the arms so far come to their end, rather than return
}

// branches says for each token at which events it is reached, as far as conditions
// on tg_op, and what returns under them, tell.
func branches(t []token) []events {
	out := make([]events, len(t))
	on := everything
	var open []branch
	returns := false
	for i := range t {
		before, after := token{}, token{}
		if i > 0 {
			before = t[i-1]
		}
		if i+1 < len(t) {
			after = t[i+1]
		}
		top := len(open) - 1
		in := func(word string) bool { return top >= 0 && open[top].word == word }
		if before.text == ";" && !before.word && returns {
			on, returns = events{}, false
		}
		switch {
		case t[i].is("if") && starts(before):
			asks, only := asked(t[i+1:])
			open = append(open, branch{word: "if", above: on})
			on = on.and(asks)
			if only {
				open[top+1].taken = asks
			}
		case t[i].is("elsif", "elseif") && in("if"):
			asks, only := asked(t[i+1:])
			open[top].left = open[top].left.or(on)
			on = open[top].above.and(open[top].taken.not()).and(asks)
			if only {
				open[top].taken = open[top].taken.or(asks)
			}
		case t[i].is("else") && in("if"):
			open[top].left = open[top].left.or(on)
			on = open[top].above.and(open[top].taken.not())
			open[top].taken = everything
		case t[i].is("end") && in("if") && after.is("if"):
			on = on.or(open[top].left).or(open[top].above.and(open[top].taken.not()))
			open = open[:top]
		case t[i].is("case") && !before.is("end"), t[i].is("loop") && !before.is("end"), t[i].is("begin"):
			open = append(open, branch{word: t[i].text, above: on})
		case t[i].is("when", "else", "exception") && (in("case") || in("begin")):
			on = open[top].above // whatever returned in another arm, or before the error
		case t[i].is("end") && (in("case") || in("loop") || in("begin")):
			on, open = open[top].above, open[:top]
		case t[i].is("return") && starts(before) && !after.is("next", "query"):
			returns = true
		}
		out[i] = on
	}
	return out
}

// asked are the events at which a condition, up to its then, can be true, and
// whether it asks for nothing else.
func asked(t []token) (on events, only bool) {
	if t = t[:until(t, "then")]; len(t) > 2 && t[0].text == "(" && closing(t) == len(t)-1 {
		t = t[1 : len(t)-1]
	}
	for {
		end := until(t, "or")
		one, known := event(t[:end])
		if !known {
			return everything, false
		}
		if on = on.or(one); end == len(t) {
			return on, true
		}
		t = t[end+1:]
	}
}

// event reads tg_op = 'DELETE', or tg_op in (…).
func event(t []token) (on events, known bool) {
	if len(t) < 3 || !t[0].is("tg_op") {
		return on, false
	}
	list := [][]token{t[2:]}
	switch {
	case t[1].text == "=" && len(t) == 3:
	case t[1].is("in") && t[2].text == "(" && closing(t[2:]) == len(t)-3:
		list = split(t[3 : len(t)-1])
	default:
		return on, false
	}
	for _, e := range list {
		if len(e) != 1 || e[0].text != "'" {
			return on, false
		}
		switch e[0].value {
		case "INSERT":
			on.insert = true
		case "UPDATE":
			on.update = true
		case "DELETE":
			on.delete = true
		}
	}
	return on, true
}

func (e events) or(o events) events {
	return events{e.insert || o.insert, e.update || o.update, e.delete || o.delete}
}

func (e events) not() events { return events{!e.insert, !e.update, !e.delete} }
