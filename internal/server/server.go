package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

const (
	maxBody    = 1 << 20          // of a request
	callLimit  = 10 * time.Minute // of one call's work
	drainLimit = 30 * time.Second // of the calls under way when the server is told to stop
)

// Serve answers calls at a socket until ctx ends, and then waits for those under
// way. A socket that a dead server left is replaced; a live one is Conflict. The
// socket has mode 0600: who may open it may assert any principal. Ready, if there
// is one, is called once calls are answered.
func Serve(ctx context.Context, s *lifecycle.Service, socket string, log *slog.Logger, ready func()) error {
	path, err := shortPath(socket)
	if err != nil {
		return err
	}
	l, err := listen(ctx, path, socket)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           Handler(s, log),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      callLimit + 10*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	if ready != nil {
		ready()
	}
	select {
	case err := <-ended:
		return tenure.Errorf(tenure.Internal, "serve %s: %w", socket, err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	err = srv.Shutdown(drain)
	if err != nil {
		_ = srv.Close()
	}
	<-ended // the listener has closed, and with it the socket has gone
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "calls were still under way %s after the server was told to stop", drainLimit)
	}
	return nil
}

// listen opens the socket; the listener removes it when it closes.
func listen(ctx context.Context, path, socket string) (net.Listener, error) {
	c, err := Dial(ctx, socket, "")
	if err == nil {
		c.Close()
		return nil, tenure.Errorf(tenure.Conflict, "a server is running at %s already", socket)
	}
	if tenure.CodeOf(err) != tenure.NotFound {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&os.ModeSocket == 0 {
			return nil, tenure.Errorf(tenure.Conflict, "%s is there and isn't a socket", socket)
		}
		if err := os.Remove(path); err != nil {
			return nil, tenure.Errorf(tenure.Unavailable, "replace the socket of a dead server: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "listen at %s: %w", socket, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, tenure.Errorf(tenure.Unavailable, "listen at %s: %w", socket, err)
	}
	return l, nil
}

// maxSocketPath is what a socket's address holds on every Unix, with the zero at
// its end (104 bytes on BSD, 108 on Linux).
const maxSocketPath = 103

// shortPath gives a path that fits into a socket's address: the path itself or,
// where that is too long, the way to it from the working directory.
func shortPath(socket string) (string, error) {
	if len(socket) <= maxSocketPath {
		return socket, nil
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, socket); err == nil && len(rel) <= maxSocketPath {
			return rel, nil
		}
	}
	return "", tenure.Errorf(tenure.Invalid, "the path %s is too long for a socket (%d bytes at the most)", socket, maxSocketPath).WithHint("run the command nearer to the folder, or give the folder a shorter path")
}

// Handler answers POST /call/{method} with a JSON body of at most 1 MiB.
func Handler(s *lifecycle.Service, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /call/{method}", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), callLimit)
		defer cancel()
		answer, err := handle(ctx, s, w, r)
		if err != nil {
			refuse(w, r, log, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, log, tenure.Errorf(tenure.NotFound, "there is nothing at %s %s", r.Method, r.URL.Path))
	})
	return mux
}

func handle(ctx context.Context, s *lifecycle.Service, w http.ResponseWriter, r *http.Request) ([]byte, error) {
	by, err := url.PathUnescape(r.Header.Get(principalHeader))
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "the header %s is not percent-encoded", principalHeader)
	}
	e, err := find(r.PathValue("method"))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return nil, tenure.Errorf(tenure.Invalid, "the request is longer than %d bytes", big.Limit)
		}
		return nil, tenure.Errorf(tenure.Invalid, "read the request: %w", err)
	}
	return e.serve(ctx, s, by, body)
}

// refuse answers with an error. One without a code is a fault of ours: the caller
// gets an id, and the log has the cause under it.
func refuse(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	p := ProblemOf(err)
	if !isCoded(err) {
		var raw [6]byte
		_, _ = rand.Read(raw[:])
		id := hex.EncodeToString(raw[:])
		log.Error("internal error", "id", id, "path", r.URL.Path, "error", err)
		p = Problem{Code: tenure.Internal, Message: "internal error " + id, Hints: []string{"the server's log has the cause under this id"}}
	} else if p.Code == tenure.Internal {
		log.Error("internal error", "path", r.URL.Path, "error", err)
	}
	body, _ := json.Marshal(p)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.Code.Status())
	_, _ = w.Write(body)
}
