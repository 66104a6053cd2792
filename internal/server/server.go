package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/notify"
	"github.com/tenurehq/tenure/internal/trigger"
)

// Options are what a Server is made of. Service and Governor are needed.
type Options struct {
	Service    *lifecycle.Service
	Governor   *governance.Governor
	Log        *slog.Logger                    // nil: nothing is logged
	Events     *trigger.Intake                 // what other systems tell; nil: there are no sources
	Notices    *notify.Notifier                // how they go out; nil: they stay in the store
	Metrics    http.Handler                    // at /metrics, if given
	Dashboard  http.Handler                    // at /, if given
	Middleware func(http.Handler) http.Handler // around everything, if given
	Ready      func(context.Context) error     // asked by /readyz beside the store, if given
	URL        string                          // what people reach the server at; blank: what the request was sent to
	Rate       float64                         // requests a second of one principal; 0 is 300
	Burst      int                             // and at once; 0 is 600
}

// Server answers the HTTP API. Its methods may be called from any goroutine.
type Server struct {
	o        Options
	api      huma.API
	mux      *http.ServeMux
	origin   *http.CrossOriginProtection
	limits   *limits
	replays  *replays
	tail     *tail
	document func() ([]byte, error) // written when it is first asked for

	describing bool // it only describes its routes, answers among them, and serves nothing

	routes  []Route
	status  map[string]int  // of routes that don't answer 200
	streams map[string]bool // routes that stream
	broken  error           // the first route that doesn't say what it must
}

// New makes the server. A route that doesn't say who may use it is Internal: the
// server doesn't start with it.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Events == nil {
		var err error
		if o.Events, err = trigger.New(trigger.Options{DB: o.Service.Engine.DB, Service: o.Service}); err != nil {
			return nil, err
		}
	}
	s := &Server{
		o: o, mux: http.NewServeMux(), origin: http.NewCrossOriginProtection(), limits: newLimits(o.Service.Now, o.Rate, o.Burst),
		replays: &replays{now: o.Service.Now, db: o.Service.Engine.DB}, status: map[string]int{}, streams: map[string]bool{},
	}
	s.tail = newTail(s.db(), o.Governor)
	if err := s.register(); err != nil {
		return nil, err
	}
	if err := s.replays.start(context.Background()); err != nil {
		return nil, err
	}
	s.document = sync.OnceValues(s.openAPI)
	s.mount()
	return s, nil
}

// register registers every route.
func (s *Server) register() error {
	s.api = humago.New(s.mux, config())
	for _, noun := range nouns() {
		noun(s)
	}
	return s.broken
}

// Close ends the streams.
func (s *Server) Close() { s.tail.close() }

// Tick forgets the answers that were kept for 24 hours. It is cheap when nothing
// is due.
func (s *Server) Tick(ctx context.Context, now time.Time) error { return s.replays.forget(ctx, now) }

// Listeners is how many event streams are open.
func (s *Server) Listeners() int { return s.tail.open() }

// Routes lists every route with who may use it.
func (s *Server) Routes() []Route { return append([]Route(nil), s.routes...) }

// OpenAPI is the document of the API (OpenAPI 3.1), indented JSON.
// Nothing is an error of the program, which its tests would show.
func (s *Server) OpenAPI() []byte {
	doc, _ := s.document()
	return bytes.Clone(doc)
}

// Handler answers on the network: a bearer token or a session's cookie says who
// asks.
func (s *Server) Handler() http.Handler { return s.outermost(s.mux) }

// LocalHandler answers where the name of who asks may be asserted: at the
// installation's socket, and in its process.
func (s *Server) LocalHandler() http.Handler { return s.outermost(local(s.mux)) }

func (s *Server) outermost(h http.Handler) http.Handler {
	if s.o.Middleware != nil {
		h = s.o.Middleware(h)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := newRequestID()
		w.Header().Set("Tenure-Request-Id", id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if inAPI(r) {
			w.Header().Set("Cache-Control", "no-store")
		}
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, id))
		slashes(r)
		h.ServeHTTP(w, r)
	})
}

// inAPI says whether a request is to the API, where only who is known is answered.
func inAPI(r *http.Request) bool { return r.URL.Path == "/v1" || strings.HasPrefix(r.URL.Path, "/v1/") }

// mount puts what isn't a route beside them.
func (s *Server) mount() {
	s.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, r *http.Request) {
		doc, err := s.document()
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-cache")
		_ = letGo(w, func() error { return deliver(w, r, http.StatusOK, doc, false) })
	})
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "alive\n") })
	s.mux.HandleFunc("GET /readyz", s.ready)
	for _, path := range []string{"/v1", "/v1/", "/openapi.json", "/healthz", "/readyz"} {
		s.mux.HandleFunc(path, s.nothing)
	}
	s.mux.HandleFunc("POST "+InboundPath, s.receive)
	s.mux.HandleFunc("OPTIONS "+InboundPath, s.receive)
	if s.o.Metrics != nil {
		s.mux.Handle("GET /metrics", s.o.Metrics)
		s.mux.HandleFunc("/metrics", s.nothing)
	}
	if s.o.Dashboard != nil {
		s.mux.Handle("/", s.o.Dashboard)
		// Whoever isn't known yet can have rows read and written by these.
		s.mux.Handle("/sign-in", s.o.Dashboard)
		s.mux.Handle("/sign-in/", s.bounded("sign-in", s.o.Dashboard))
		s.mux.Handle(LeaverPath, s.bounded("departure", s.o.Dashboard))
		s.mux.Handle(lifecycle.LeasePath, s.bounded("lease", s.o.Dashboard))
		s.mux.Handle(lifecycle.VendorPath, s.bounded("vendor", s.o.Dashboard))
		s.mux.Handle(lifecycle.LeavePath, s.bounded("leave", s.o.Dashboard))
		s.mux.Handle(lifecycle.LeavePath+"/", s.bounded("leave", s.o.Dashboard))
		return
	}
	s.mux.HandleFunc("/", s.nothing)
}

// nothing answers where no route does: what a path can be asked, if there is anything
// at it, or that there is nothing.
func (s *Server) nothing(w http.ResponseWriter, r *http.Request) {
	allow := strings.Join(Allowed(s.mux, r), ", ")
	if allow != "" {
		w.Header().Set("Allow", allow)
	}
	if allow != "" && r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	err := error(tenure.Errorf(tenure.NotFound, "there is nothing at %s %s", r.Method, r.URL.Path).WithHint("what there is stands in /openapi.json"))
	if allow != "" {
		err = &statusError{http.StatusMethodNotAllowed, tenure.Errorf(tenure.Invalid, "%s doesn't take %s", r.URL.Path, r.Method).WithHint("it takes %s", allow)}
	}
	if inAPI(r) {
		if _, who := s.identify(r, false); who != nil {
			err = who
		}
	}
	s.refuse(w, r, err)
}

// Allowed lists the methods for which mux has a route at the request's path: those
// whose patterns name a method.
func Allowed(mux *http.ServeMux, r *http.Request) (out []string) {
	for _, verb := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		as := *r
		as.Method = verb
		if _, pattern := mux.Handler(&as); strings.Contains(pattern, " ") { // a method and a path
			out = append(out, verb)
		}
	}
	if len(out) > 0 {
		out = append(out, http.MethodOptions)
	}
	return out
}

// bounded limits the requests of who isn't known.
func (s *Server) bounded(what string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.limits.stranger(r, what); err != nil {
			s.refuse(w, r, err)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// ready says whether the server can do its work: its store can be written as far as is
// known, answers, is migrated, and what else the options ask. It writes nothing.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if o := s.db().Outage(); o != nil {
		w.Header().Set("Retry-After", retryAfter(o))
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready: "+o.Says()+"\n")
		return
	}
	_, err := s.db().LogSize(r.Context())
	if err == nil && s.o.Ready != nil {
		err = s.o.Ready(r.Context())
	}
	if err != nil {
		s.o.Log.Warn("not ready", "error", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready\n")
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

// strict has huma take a field's name as it is written and no other, and null for no
// list.
var strict = sync.OnceFunc(func() { huma.ValidateStrictCasing, huma.DefaultArrayNullable = true, false })

// config is huma's: no pages of its own, JSON alone, and refusals as problems.
func config() huma.Config {
	strict()
	c := huma.DefaultConfig("Tenure", "1")
	c.DocsPath, c.SchemasPath, c.OpenAPIPath = "", "", ""
	c.CreateHooks = nil
	c.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	c.NoFormatFallback = false
	json := huma.Format{Marshal: func(w io.Writer, v any) error { return encode(w, v) }, Unmarshal: unmarshal}
	c.Formats = map[string]huma.Format{"application/json": json, client.ProblemType: json}
	return c
}

// schemaName names a schema by its type. A plan as data is another thing than the
// stored plan that holds its bytes.
func schemaName(t reflect.Type, hint string) string {
	if t == reflect.TypeFor[tenure.Plan]() || t == reflect.TypeFor[*tenure.Plan]() {
		return "CompiledPlan"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

// unmarshal reads a request's JSON: for huma's check with numbers as it wants
// them, and into its type with numbers as they are written.
func unmarshal(data []byte, v any) error {
	if loose, ok := v.(*any); ok {
		return json.Unmarshal(data, loose)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return dec.Decode(v)
}
