package client

import (
	"context"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/tenurehq/tenure"
)

// TileParams name a tile.
type TileParams struct {
	Tile string `path:"tile" doc:"level and number, such as 0/x001/234, 1/000.p/17 or entries/005; its slashes are sent as they are" maxLength:"64"`
}

var (
	// LogCheckpoint gives the log's last signed head as C2SP tlog-tiles serves it.
	LogCheckpoint = Endpoint[None, []byte]{Name: "log.checkpoint", Verb: "GET", Path: "/v1/log/checkpoint", Summary: "Give the log's last signed head (C2SP tlog-tiles)"}
	// LogTile gives a tile of the log's hashes or a bundle of its entries (C2SP tlog-tiles).
	LogTile = Endpoint[TileParams, []byte]{Name: "log.tile", Verb: "GET", Path: "/v1/log/tile/{tile}", Summary: "Give a tile of the log's hashes, or a bundle of its entries (C2SP tlog-tiles)"}
)

// LogFiles reads a server's log as the files that C2SP tlog-tiles names: checkpoint,
// tile/0/000, tile/entries/000.p/17. An answer that is too long for its file is Blocked,
// and so is one that leads elsewhere: a server that serves its log gives neither.
func (c *Client) LogFiles(ctx context.Context) fs.ReadFileFS { return logFiles{ctx, c} }

type logFiles struct {
	ctx context.Context
	c   *Client
}

// Open is for fs.FS; files are read whole.
func (l logFiles) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
}

// ReadFile gets a file. What breaks on the way is tried again, up to twice.
func (l logFiles) ReadFile(name string) ([]byte, error) {
	for try := 1; ; try++ {
		b, err := l.get(name)
		if err == nil || !tenure.CanRetry(err) || try >= 3 || !pause(l.ctx, try) {
			return b, err
		}
	}
}

// longest is how much a file can hold: 256 entries with their lengths, 256 hashes, or a head.
func longest(name string) int64 {
	switch {
	case strings.HasPrefix(name, "tile/entries/"):
		return 256 * (2 + 1<<16)
	case strings.HasPrefix(name, "tile/"):
		return 256 * 32
	}
	return 64 << 10
}

func (l logFiles) get(name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(l.ctx, callLimit)
	defer cancel()
	req, err := l.c.request(ctx, name, http.MethodGet, &bound{path: "/v1/log/" + name, header: http.Header{}})
	if err != nil {
		return nil, err
	}
	resp, err := l.c.http.Do(req)
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "read the log's %s: %w", name, hideURL(err)).Retryable()
	}
	defer resp.Body.Close()
	most := longest(name)
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	switch {
	case err != nil:
		return nil, tenure.Errorf(tenure.Unavailable, "read the log's %s: %w", name, err).Retryable()
	case int64(len(body)) > most:
		return nil, tenure.Errorf(tenure.Blocked, "the log's %s is longer than the %d bytes that it can have", name, most)
	case resp.StatusCode/100 == 3:
		return nil, tenure.Errorf(tenure.Blocked, "the server leads elsewhere for the log's %s", name).WithHint("a redirect isn't followed; name the server that has the log")
	case resp.StatusCode == http.StatusOK:
		return body, nil
	}
	err = failure(name, resp, body)
	if resp.StatusCode == http.StatusNotFound {
		return nil, tenure.Errorf(tenure.Blocked, "the server hasn't the log's %s: %w", name, err)
	}
	return nil, err
}
