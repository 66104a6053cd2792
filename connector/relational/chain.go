package relational

import "context"

// links takes rows of a table that refers to itself, those first that no other
// row refers to. The references are read once and put in order in memory, so
// that a chain of any length takes linear time. Rows that refer to one another in
// a ring go in one statement, at whose end references are checked.
func (w *batch) links(ctx context.Context, s EraseStep, size int) (through bool, err error) {
	t := s.Tables[0]
	if !w.read {
		if err := w.order(ctx, s); err != nil {
			return false, err
		}
		if len(w.cuts) == 0 {
			return true, nil
		}
		w.read = true
	}
	end := w.cuts[0]
	for len(w.cuts) > 0 && (w.cuts[0] == end || w.cuts[0]-w.from <= size) {
		end, w.cuts = w.cuts[0], w.cuts[1:]
	}
	list := w.chain[w.from:end]
	w.from = end
	if len(w.cuts) == 0 {
		w.read = false // rows that came late, or moved, are looked for once more
	}
	if err := w.cut(ctx, s, list); err != nil {
		return false, err
	}
	for _, some := range w.apart(list) {
		found, err := w.pick(ctx, t, w.Holding.Dialect.At(t.Table, alias, some)+" and "+t.Where(), 0)
		if err != nil {
			return false, err
		}
		if len(found) == 0 {
			continue
		}
		if err := w.take(ctx, going{t: t, addresses: found}); err != nil {
			return false, err
		}
	}
	return false, nil
}

// cut sets to null what holds rows in a ring where each is looked at by itself.
func (w *batch) cut(ctx context.Context, s EraseStep, list []string) error {
	var ringed []string
	for _, row := range list {
		if w.ringed[row] && len(w.keeps[row]) > 0 {
			ringed = append(ringed, row)
		}
	}
	for _, k := range s.Keys {
		columns := w.Holding.openable(k)
		if k.OnDelete != Restrict || len(ringed) == 0 || columns == nil {
			continue
		}
		if err := w.null(ctx, going{t: s.Tables[0], addresses: ringed}, EraseStep{Kind: StepNull, Tables: s.Tables, Keys: []ForeignKey{k}, Columns: columns}); err != nil {
			return err
		}
		for _, row := range ringed {
			delete(w.keeps, row)
		}
	}
	return nil
}

// apart splits rows, those first that no other refers to, so that none stands
// beside one that refers to it and would keep it.
func (w *batch) apart(list []string) [][]string {
	var out [][]string
	from, with := 0, map[string]bool{}
	for i, row := range list {
		if with[row] {
			out, from = append(out, list[from:i]), i
			clear(with)
		}
		for _, up := range w.keeps[row] {
			with[up] = true
		}
	}
	return append(out, list[from:])
}

// order reads the tenant's rows and what they refer to in their own table.
func (w *batch) order(ctx context.Context, s EraseStep) error {
	h, t := w.Holding, s.Tables[0]
	w.chain, w.cuts, w.from, w.keeps, w.ringed = nil, nil, 0, map[string][]string{}, map[string]bool{}
	var nodes []string
	edges, itself := map[string][]string{}, map[string]bool{}
	for i, k := range s.Keys {
		err := h.refer(ctx, w.q, t, k, func(child, up string) {
			if i == 0 {
				nodes = append(nodes, child)
			}
			if up == child && h.BySelf && k.OnDelete == Restrict {
				w.keeps[child], itself[child] = append(w.keeps[child], up), true
			}
			if up == "" || up == child {
				return
			}
			edges[up] = append(edges[up], child)
			if h.ByRow && k.OnDelete == Restrict {
				w.keeps[child] = append(w.keeps[child], up)
			}
		})
		if err != nil {
			return err
		}
	}
	for _, part := range components(nodes, edges) {
		for _, row := range part {
			w.ringed[row] = len(part) > 1 || itself[row]
		}
		w.chain = append(w.chain, part...)
		w.cuts = append(w.cuts, len(w.chain))
	}
	return nil
}
