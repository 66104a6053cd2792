package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
)

// scrubLimit is the size up to which an erasure looks through a file's pages.
const scrubLimit = 256 << 20

// scrubAtOnce is how many bytes of pages are written over in one transaction.
const scrubAtOnce = 64 << 20

// scrub writes zeros over what lies unused in the pages of a file of up to limit bytes:
// between their cells, behind the end of long texts, and in free pages. secure_delete
// keeps what it deletes from staying there; what the platform's own writes have left, as
// when a page was split, it doesn't touch. A page that has nothing of it isn't written,
// and no row gets another rowid, as it could in a vacuum.
func (d *Driver) scrub(ctx context.Context, path string, limit int64) error {
	if info, err := os.Stat(path); err != nil || info.Size() > limit {
		return err
	}
	for {
		more := false
		err := d.on(ctx, path, scrubbing, func(s *session) error {
			return s.atomic(ctx, func() (err error) { more, err = s.scrubSome(ctx); return err })
		})
		if err != nil || !more {
			return err
		}
	}
}

// errEnough ends a look through the pages.
var errEnough = errors.New("enough")

// scrubSome writes over scrubAtOnce bytes at the most, and says whether more may be left.
func (s *session) scrubSome(ctx context.Context) (more bool, err error) {
	dirty := map[int64][]byte{}
	usable, err := freePages(ctx, s, dirty)
	if err != nil {
		return false, err
	}
	if len(dirty)*usable >= scrubAtOnce {
		return true, s.rewrite(ctx, dirty)
	}
	var page, payload int64
	var typ string
	var body []byte
	err = s.each(ctx, "select d.pageno, d.pagetype, d.payload, p.data from dbstat d join sqlite_dbpage p on p.pgno = d.pageno", func() error {
		switch {
		case len(body) < usable:
		case typ == "overflow" && zero(body[min(4+int(payload), usable):usable]), typ != "overflow" && zeroTree(body[:usable], page == 1):
			dirty[page] = body
		}
		if len(dirty)*max(len(body), 1) >= scrubAtOnce {
			return errEnough
		}
		return nil
	}, &page, &typ, &payload, &body)
	if more = errors.Is(err, errEnough); err != nil && !more {
		return false, err
	}
	return more, s.rewrite(ctx, dirty)
}

func (s *session) rewrite(ctx context.Context, pages map[int64][]byte) error {
	for page, body := range pages {
		if _, err := s.Exec(ctx, "update sqlite_dbpage set data = $1 where pgno = $2", body, page); err != nil {
			return err
		}
	}
	return nil
}

// zero clears b and says whether anything was there.
func zero(b []byte) bool {
	found := false
	for i := range b {
		found = found || b[i] != 0
		b[i] = 0
	}
	return found
}

// zeroTree zeroes what no cell of a b-tree page uses (sqlite.org/fileformat2
// §1.6). A page that doesn't hold together is left as it is.
func zeroTree(page []byte, first bool) bool {
	at := 0
	if first {
		at = 100 // behind the file's header
	}
	header := 8
	if page[at] == 2 || page[at] == 5 {
		header = 12
	}
	two := func(i int) int { return int(binary.BigEndian.Uint16(page[i:])) }
	cells, content := two(at+3), two(at+5)
	if content == 0 {
		content = 65536
	}
	gap := at + header + 2*cells
	if gap > content || content > len(page) {
		return false
	}
	found := zero(page[gap:content])
	for block := two(at + 1); block != 0; {
		if block < content || block+4 > len(page) {
			return found
		}
		next, size := two(block), two(block+2)
		if size < 4 || block+size > len(page) || next != 0 && next <= block {
			return found
		}
		found = zero(page[block+4:block+size]) || found
		block = next
	}
	return found
}

// freePages puts the free pages that hold anything into dirty, zeroed (§1.5), at most
// scrubAtOnce bytes of them, and says how much of a page is in use by SQLite.
func freePages(ctx context.Context, s *session, dirty map[int64][]byte) (usable int, err error) {
	first, err := s.page(ctx, 1)
	if err != nil || len(first) < 100 {
		return 0, err
	}
	usable = len(first) - int(first[20])
	four := func(b []byte, at int) int64 { return int64(binary.BigEndian.Uint32(b[at:])) }
	seen := map[int64]bool{}
	for trunk := four(first, 32); trunk != 0 && !seen[trunk] && len(dirty)*usable < scrubAtOnce; {
		seen[trunk] = true
		body, err := s.page(ctx, trunk)
		if err != nil || len(body) < usable {
			return usable, err
		}
		next, end := four(body, 0), 8+4*four(body, 4)
		if end > int64(usable) {
			return usable, nil
		}
		for at := 8; at < int(end) && len(dirty)*usable < scrubAtOnce; at += 4 {
			leaf, err := s.page(ctx, four(body, at))
			if err != nil {
				return usable, err
			}
			if zero(leaf) {
				dirty[four(body, at)] = leaf
			}
		}
		if zero(body[end:]) {
			dirty[trunk] = body
		}
		trunk = next
	}
	return usable, nil
}

// page reads a page as it is in the file.
func (s *session) page(ctx context.Context, number int64) (body []byte, err error) {
	r, err := s.Query(ctx, "select data from sqlite_dbpage where pgno = $1", number)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for r.Next() {
		if err := r.Scan(&body); err != nil {
			return nil, err
		}
	}
	return body, r.Err()
}
