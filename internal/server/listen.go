package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// maxHead is how many bytes a request may have before its body: the request's line, its
// headers, and the blank line at their end.
const maxHead = 16 << 10

const drainLimit = 30 * time.Second // of the calls under way when the server is told to stop

// Listen says where a server answers.
type Listen struct {
	Socket  string // a Unix socket's path, of mode 0600: who may open it may assert any name
	Address string // host:port for HTTP; blank: at the socket alone
}

// Serve answers calls until ctx ends; then it takes no more, ends the streams, and
// waits for the calls under way. A socket that a dead server left is replaced; a
// live one, and an address that is taken, are Conflict. Ready, if there is one, is
// called once calls are answered, with the URL of the address.
func (s *Server) Serve(ctx context.Context, l Listen, ready func(url string)) error {
	path, err := client.ShortSocket(l.Socket)
	if err != nil {
		return err
	}
	socket, err := listenSocket(ctx, path, l.Socket)
	if err != nil && ctx.Err() != nil { // it is told to end before it began
		return nil
	}
	if err != nil {
		return err
	}
	servers := []*http.Server{s.httpServer(s.LocalHandler())}
	listeners := []net.Listener{socket}
	url := ""
	if l.Address != "" {
		tcp, err := listenTCP(l.Address)
		if err != nil {
			_ = socket.Close()
			return err
		}
		url = "http://" + tcp.Addr().String()
		servers, listeners = append(servers, s.httpServer(s.Handler())), append(listeners, tcp)
	}
	ended := make(chan error, len(servers))
	for i, srv := range servers {
		go func() { ended <- srv.Serve(listeners[i]) }()
	}
	if ready != nil {
		ready(url)
	}
	left := len(servers)
	select {
	case err = <-ended:
		left--
		err = tenure.Errorf(tenure.Internal, "serve %s: %w", l.Socket, err)
	case <-ctx.Done():
	}
	s.Close()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	for _, srv := range servers {
		if serr := srv.Shutdown(drain); serr != nil {
			_ = srv.Close()
			err = tenure.Errorf(tenure.Unavailable, "calls were still under way %s after the server was told to stop", drainLimit)
		}
	}
	for range left {
		<-ended // the listener has closed, and with it the socket has gone
	}
	return err
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      callLimit + 10*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHead - 4096, // net/http adds as many, for a reader's buffer
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelWarn),
	}
}

func listenTCP(address string) (net.Listener, error) {
	tcp, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, tenure.Errorf(tenure.Conflict, "something listens at %s already", address).WithHint("name another address: --listen 127.0.0.1:PORT, or --listen none for the socket alone")
	case err != nil:
		return nil, tenure.Errorf(tenure.Invalid, "listen at %s: %w", address, err).WithHint("write it like 127.0.0.1:8420")
	}
	return tcp, nil
}

// listenSocket opens the socket; the listener removes it when it closes.
func listenSocket(ctx context.Context, path, socket string) (net.Listener, error) {
	c, err := client.Dial(ctx, socket, "")
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
