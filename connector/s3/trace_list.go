package s3

import (
	"cmp"
	"context"
	"encoding/xml"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure/connector"
)

// How far a bucket that is too big for one page is listed: its prefixes, and the copies
// under each prefix that is named for them.
const (
	prefixPages = 100
	copyPages   = 20
)

// contents is what a listing tells of a bucket.
type contents struct {
	bucket    string
	versioned bool
	whole     bool          // entries are all that there is
	entries   []listedEntry // by key, the newest first
	prefixes  []string      // in order, each with its "/"
	gone      []string      // those of them under which nothing but earlier versions is
	copies    []listedEntry
	loose     []listedEntry // objects under no prefix that are no copies
	unsure    bool          // earlier versions weren't counted
}

// listedEntry is an object, a version or a delete marker.
type listedEntry struct {
	key      string
	size     int64
	modified time.Time
	latest   bool
	marker   bool
	since    time.Time // when it became an earlier version; zero: it is read by its key
}

// contents lists a bucket: all of it if that is one page, and otherwise its prefixes, with
// copies where the names say that they are.
func (t *tracing) contents(ctx context.Context, name string, versioned bool) *contents {
	c := &contents{bucket: name, versioned: versioned}
	first, err := t.page(ctx, name, c.versioned, "", "", nil)
	if versioned && unable(err) {
		c.versioned = false
		first, err = t.page(ctx, name, false, "", "", nil)
	}
	if err != nil {
		t.note(name, "the list of objects", err)
		return c
	}
	if c.whole = first.next == nil; !c.whole {
		t.outline(ctx, c)
		return c
	}
	c.entries = earlier(first.entries)
	for _, e := range c.entries {
		for at := ""; t.holdsPlaces(name, at); {
			segment, _, cut := strings.Cut(e.key[len(at):], "/")
			if !cut {
				break
			}
			at += segment + "/"
			c.prefixes = append(c.prefixes, at)
		}
		c.copy(e)
	}
	slices.Sort(c.prefixes)
	c.prefixes = slices.Compact(c.prefixes)
	return c
}

// holdsPlaces says whether tenants' own prefixes may stand right below a prefix: below the
// bucket, on the way to a place of the option shared, and below one such as "customers/".
func (t *tracing) holdsPlaces(bucket, below string) bool {
	for _, b := range t.shared {
		if b.bucket == bucket && strings.HasPrefix(b.below, below) {
			return true
		}
	}
	name, deeper, _ := strings.Cut(below, "/")
	return below == "" || deeper == "" && connector.TenantsPlace(name)
}

// copy takes an object into account that is a copy by its key, or lies under no prefix.
func (c *contents) copy(e listedEntry) {
	if e.marker || !e.since.IsZero() {
		return
	}
	path := e.key
	if connector.CopyPlace(c.bucket) {
		path = c.bucket + "/" + path
	}
	if connector.CopyName(path) {
		c.copies = append(c.copies, e)
	} else if !strings.Contains(e.key, "/") {
		c.loose = append(c.loose, e)
	}
}

// looseTraces are the objects under no prefix.
func (c *contents) looseTraces() (out []connector.Trace) {
	for _, e := range c.loose {
		out = append(out, connector.Trace{
			Kind: connector.TracePlace, Word: "object", Name: c.bucket + "/" + e.key, ID: "object:" + c.bucket + "/" + e.key, In: bucketID(c.bucket), Called: []string{e.key},
			Rows: 1, Bytes: e.size, Made: e.modified, Used: e.modified,
		})
	}
	return out
}

// outline lists the prefixes of a bucket that is too big to be listed, and copies.
func (t *tracing) outline(ctx context.Context, c *contents) {
	c.unsure = c.versioned
	t.note(c.bucket, "the number and size of objects", errMany)
	all := connector.CopyPlace(c.bucket)
	for bases := []string{""}; len(bases) > 0; bases = bases[1:] {
		now, ok := t.pages(ctx, c.bucket, false, bases[0], "/", prefixPages, func(e listedEntry) {
			if !all {
				c.copy(e)
			}
		})
		if c.versioned && ok {
			once, ok := t.pages(ctx, c.bucket, true, bases[0], "/", prefixPages, nil)
			for _, p := range once {
				if _, there := slices.BinarySearch(now, p); ok && !there {
					c.gone = append(c.gone, p)
				}
			}
		}
		for _, p := range now {
			if t.holdsPlaces(c.bucket, p) {
				bases = append(bases, p)
			}
		}
		c.prefixes = append(c.prefixes, now...)
	}
	c.prefixes = append(c.prefixes, c.gone...)
	slices.Sort(c.prefixes)
	slices.Sort(c.gone)
	if all {
		t.pages(ctx, c.bucket, false, "", "", copyPages, c.copy)
		return
	}
	for _, p := range c.prefixes {
		if connector.CopyPlace(p) && !c.isGone(p) {
			t.pages(ctx, c.bucket, false, p, "", copyPages, c.copy)
		}
	}
}

// pages lists what is below a prefix, and gives the prefixes in it. Not ok: the list broke
// off, which is noted.
func (t *tracing) pages(ctx context.Context, bucket string, versions bool, below, delimiter string, most int, entry func(listedEntry)) (prefixes []string, ok bool) {
	var from url.Values
	for range most {
		p, err := t.page(ctx, bucket, versions, below, delimiter, from)
		if err != nil {
			t.note(bucket, "the whole list of objects", err)
			return prefixes, false
		}
		prefixes = append(prefixes, p.prefixes...)
		for _, e := range p.entries {
			if entry != nil {
				entry(e)
			}
		}
		if from = p.next; from == nil {
			slices.Sort(prefixes)
			return slices.Compact(prefixes), true
		}
	}
	t.note(bucket, "the whole list of objects", errMany)
	return prefixes, false
}

func (c *contents) isGone(below string) bool {
	_, gone := slices.BinarySearch(c.gone, below)
	return gone
}

type page struct {
	entries  []listedEntry
	prefixes []string
	next     url.Values // what asks for the next one; nil: there is none
}

// page lists up to 1,000 objects, or versions, of a bucket.
func (t *tracing) page(ctx context.Context, bucket string, versions bool, below, delimiter string, from url.Values) (p page, err error) {
	query := url.Values{"encoding-type": {"url"}, "max-keys": {"1000"}, "prefix": {below}}
	if delimiter != "" {
		query.Set("delimiter", delimiter)
	}
	if query.Set("list-type", "2"); versions {
		query.Del("list-type")
		query.Set("versions", "")
	}
	for name, values := range from {
		query[name] = values
	}
	raw, err := t.ask(ctx, bucket, query)
	if err != nil {
		return p, err
	}
	var list struct {
		IsTruncated           bool
		EncodingType          string
		NextContinuationToken string
		NextKeyMarker         string
		NextVersionIdMarker   string `xml:"NextVersionIdMarker"`
		Entries               []struct {
			XMLName           xml.Name
			Key, LastModified string
			IsLatest          bool
			Size              int64
			Prefix            string
		} `xml:",any"`
	}
	if err := xml.Unmarshal(raw, &list); err != nil {
		return p, err
	}
	plain := func(s string) string {
		if decoded, err := url.QueryUnescape(s); err == nil && list.EncodingType == "url" {
			return decoded
		}
		return s
	}
	for _, e := range list.Entries {
		switch kind := e.XMLName.Local; kind {
		case "Contents", "Version", "DeleteMarker":
			at, _ := time.Parse(time.RFC3339, e.LastModified)
			p.entries = append(p.entries, listedEntry{key: plain(e.Key), size: e.Size, modified: at, latest: e.IsLatest || kind == "Contents", marker: kind == "DeleteMarker"})
		case "CommonPrefixes":
			p.prefixes = append(p.prefixes, plain(e.Prefix))
		}
	}
	switch {
	case !list.IsTruncated:
	case versions:
		p.next = url.Values{"key-marker": {plain(list.NextKeyMarker)}, "version-id-marker": {list.NextVersionIdMarker}}
	default:
		p.next = url.Values{"continuation-token": {list.NextContinuationToken}}
	}
	return p, nil
}

// earlier puts versions in order, and says since when each isn't the one that is read.
func earlier(all []listedEntry) []listedEntry {
	slices.SortStableFunc(all, func(a, b listedEntry) int {
		return cmp.Or(cmp.Compare(a.key, b.key), b.modified.Compare(a.modified))
	})
	for i := range all {
		if all[i].latest {
			continue
		}
		if all[i].since = all[i].modified; i > 0 && all[i-1].key == all[i].key {
			all[i].since = all[i-1].modified
		}
	}
	return all
}

// sum counts what is read by its key under a prefix, if the whole list is known.
func (c *contents) sum(below string) (rows, bytes int64, used time.Time) {
	if !c.whole {
		return -1, -1, used
	}
	for _, e := range c.entries {
		if !strings.HasPrefix(e.key, below) {
			continue
		}
		if e.modified.After(used) { // also of a deletion
			used = e.modified
		}
		if !e.marker && e.latest {
			rows, bytes = rows+1, bytes+e.size
		}
	}
	return rows, bytes, used
}

// traces are the prefixes, then the copies.
func (c *contents) traces(rules []expiry) (out []connector.Trace) {
	for _, p := range c.prefixes {
		one := connector.Trace{Kind: connector.TracePlace, Type: prefix, Word: "prefix", Name: c.bucket + "/" + strings.TrimSuffix(p, "/"), ID: prefixID(c.bucket, p)}
		plain := strings.TrimSuffix(p, "/")
		up := plain[:strings.LastIndexByte(plain, '/')+1]
		one.In, one.Called = c.in(up), []string{plain[len(up):]}
		if one.Rows, one.Bytes, one.Used = c.sum(p); c.isGone(p) {
			one.Rows, one.Bytes = 0, 0
		}
		out = append(out, one)
	}
	for _, e := range c.copies {
		out = append(out, connector.Trace{
			Kind: connector.TraceCopy, Word: "object", Name: c.bucket + "/" + e.key, ID: "object:" + c.bucket + "/" + e.key, In: c.in(e.key), Called: []string{e.key[strings.LastIndexByte(e.key, '/')+1:]},
			Rows: 1, Bytes: e.size, Made: e.modified, Expires: goes(rules, e.key, e.modified, c.versioned),
		})
	}
	return append(out, c.versions(rules)...)
}

// in is the ID of what a key, or a prefix, stands in: the longest prefix that is told, or the
// bucket.
func (c *contents) in(key string) string {
	for end := strings.LastIndexByte(key, '/') + 1; end > 0; end = strings.LastIndexByte(key[:end-1], '/') + 1 {
		if _, there := slices.BinarySearch(c.prefixes, key[:end]); there {
			return prefixID(c.bucket, key[:end])
		}
	}
	return bucketID(c.bucket)
}

// versions are the earlier versions, one copy for each prefix.
func (c *contents) versions(rules []expiry) (out []connector.Trace) {
	places := map[string]int{}
	at := func(in string) *connector.Trace {
		i, there := places[in]
		if !there {
			i = len(out)
			places[in] = i
			_, name, _ := strings.Cut(in, ":")
			out = append(out, connector.Trace{Kind: connector.TraceCopy, Word: "earlier versions", Name: strings.TrimSuffix(name, "/"), ID: "versions:" + name, In: in})
		}
		return &out[i]
	}
	ends := map[string]bool{}
	for _, e := range c.entries {
		if e.marker || e.latest {
			continue
		}
		one := at(c.in(e.key))
		one.Rows, one.Bytes = one.Rows+1, one.Bytes+e.size
		if one.Made.IsZero() || e.modified.Before(one.Made) {
			one.Made = e.modified
		}
		end := fades(rules, e.key, e.since)
		if last, told := ends[one.In]; !told {
			one.Expires, ends[one.In] = end, !end.IsZero()
		} else if last && !end.IsZero() && end.After(one.Expires) {
			one.Expires = end
		} else if end.IsZero() {
			one.Expires, ends[one.In] = end, false
		}
	}
	uncounted := func(in string) { one := at(in); one.Rows, one.Bytes = -1, -1 }
	if c.unsure {
		uncounted(bucketID(c.bucket))
	}
	for _, p := range c.gone {
		uncounted(prefixID(c.bucket, p))
	}
	return out
}
