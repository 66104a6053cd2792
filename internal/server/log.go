package server

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/client"
)

// logPath is where the log is served as C2SP tlog-tiles has it.
const logPath = "/v1/log/tile/"

func logRoutes(s *Server) {
	raw(s, client.LogCheckpoint, Access{tenure.AuditRead, Installation}, "text/plain; charset=utf-8", logCheckpoint)
	raw(s, client.LogTile, Access{tenure.AuditRead, Installation}, "application/octet-stream", logTile)
}

// raw registers an endpoint whose answer isn't JSON.
func raw[P any](s *Server, e client.Endpoint[P, []byte], a Access, kind string, f func(ctx context.Context, c *Call, p *P) ([]byte, error)) {
	op, rt := s.operation(e.Name, e.Verb, e.Path, e.Summary, "", false, a)
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The file, as C2SP tlog-tiles has it",
		Content:     map[string]*huma.MediaType{strings.Split(kind, ";")[0]: {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
	}}
	s.handle(&op, rt, reflect.TypeFor[P](), func(ctx context.Context, c *Call, p any) {
		b, err := f(ctx, c, p.(*P))
		if err != nil {
			c.x.header.Del("Cache-Control")
			c.x.fail(err)
			return
		}
		c.x.header.Set("Content-Type", kind)
		_, _ = c.x.answer.Write(b)
	})
}

// slashes has a tile's whole name be one element of its path: its number has slashes.
func slashes(r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.Path, logPath)
	if !ok || !strings.Contains(rest, "/") {
		return
	}
	u := *r.URL
	u.RawPath = logPath + url.PathEscape(rest)
	r.URL = &u
}

func logCheckpoint(ctx context.Context, c *Call, _ *client.None) ([]byte, error) {
	note, err := c.server.db().LastCheckpoint(ctx)
	if err == nil && note == nil {
		err = tenure.Errorf(tenure.NotFound, "the log has no checkpoint yet").WithHint("sign one: tenure audit checkpoint")
	}
	c.x.header.Set("Cache-Control", "private, no-cache")
	return note, err
}

// logTile gives what never changes: it may be kept for as long as anybody likes.
func logTile(ctx context.Context, c *Call, p *client.TileParams) ([]byte, error) {
	t, err := audit.ParseTile(p.Tile)
	if err != nil {
		return nil, err
	}
	db := c.server.db()
	size, err := db.LogSize(ctx)
	if err != nil {
		return nil, err
	}
	if !t.In(size) {
		return nil, tenure.Errorf(tenure.NotFound, "the log doesn't reach so far")
	}
	c.x.header.Set("Cache-Control", "private, max-age=31536000, immutable")
	if t.Level >= 0 {
		return t.Hashes(db.HashReader(ctx))
	}
	var b []byte
	next := t.First()
	list, err := db.EntrySpan(ctx, next, t.End())
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		if r.Index != next {
			break
		}
		b, next = audit.Bundle(b, r.Entry), next+1
	}
	if next != t.End() {
		return nil, tenure.Errorf(tenure.Blocked, "the store lacks entry %d of the log", next).WithHint("look at the whole log: tenure audit verify")
	}
	return b, nil
}
