package telemetry

import (
	"context"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Options are what a Telemetry is made of. Clock and Now are needed.
type Options struct {
	Version string
	Clock   func() time.Time // this machine's: durations are measured by it
	Now     func() time.Time // business time: ages are by it
	// Exporter takes spans. Nil sends them by OTLP over HTTP if
	// OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set, as the
	// OpenTelemetry specification says, and else makes none.
	Exporter sdktrace.SpanExporter
}

// Telemetry holds the meters and the tracer. Its methods may be called from any
// goroutine.
type Telemetry struct {
	o        Options
	registry *prometheus.Registry
	meters   meters
	provider *sdktrace.TracerProvider // nil: no traces
	tracer   trace.Tracer
}

// meters are what is counted as it happens.
type meters struct {
	requests    *prometheus.CounterVec
	requestTime *prometheus.HistogramVec
	inFlight    prometheus.Gauge
	steps       *prometheus.CounterVec
	stepTime    *prometheus.HistogramVec
	calls       *prometheus.CounterVec
	callTime    *prometheus.HistogramVec
	events      *prometheus.CounterVec
	refused     *prometheus.CounterVec
	commits     *prometheus.CounterVec
	commitSize  prometheus.Histogram
	commitTime  prometheus.Histogram
}

// New makes a Telemetry with a registry of its own.
func New(ctx context.Context, o Options) (*Telemetry, error) {
	t := &Telemetry{o: o, registry: prometheus.NewRegistry(), meters: newMeters()}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tenure_build_info", Help: "The running program; always 1.",
		ConstLabels: prometheus.Labels{"version": o.Version, "go": runtime.Version()},
	}, func() float64 { return 1 })
	t.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m := &t.meters
	t.registry.MustRegister(m.requests, m.requestTime, m.inFlight, m.steps, m.stepTime, m.calls, m.callTime, m.events, m.refused, m.commits, m.commitSize, m.commitTime)
	return t, t.startTraces(ctx)
}

func newMeters() meters {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	seconds := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}, labels)
	}
	return meters{
		requests:    counter("tenure_http_requests_total", "HTTP requests that were answered.", "route", "method", "code"),
		requestTime: seconds("tenure_http_request_seconds", "How long HTTP requests took, event streams aside.", "route", "method"),
		inFlight:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "tenure_http_requests_in_flight", Help: "HTTP requests under way, event streams among them."}),
		steps:       counter("tenure_steps_total", "Runs of steps by how they ended: a verdict, retry (it is tried again), wait (it looks again later) or stopped (between two batches).", "action", "verdict"),
		stepTime:    seconds("tenure_step_seconds", "How long runs of steps took.", "action"),
		calls:       counter("tenure_connector_calls_total", "Calls to systems by how they ended: ok, or an error's code.", "system", "connector", "method", "code"),
		callTime:    seconds("tenure_connector_call_seconds", "How long calls to systems took, the wait for a free place aside.", "system", "method"),
		events:      counter("tenure_events_total", "Events of other systems: received, and by what became of them. One that is decided anew counts again.", "source", "outcome"),
		refused:     counter("tenure_events_refused_total", "Requests of other systems that were refused: unproven, too_many_wrong, invalid, too_large, too_many or unavailable.", "source", "reason"),
		commits:     counter("tenure_store_commits_total", "Transactions of the committer.", "outcome"),
		commitSize:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tenure_store_commit_writes", Help: "Writes that shared one transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)}),
		commitTime:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tenure_store_commit_seconds", Help: "How long transactions took.", Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5}}),
	}
}

func (t *Telemetry) startTraces(ctx context.Context) error {
	out := t.o.Exporter
	if out == nil {
		if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
			return nil
		}
		var err error
		if out, err = otlptracehttp.New(ctx); err != nil {
			return tenure.Errorf(tenure.Invalid, "traces: %w", err).WithHint("look at the OTEL_EXPORTER_OTLP_… variables")
		}
	}
	res, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "tenure"), attribute.String("service.version", t.o.Version)), resource.WithFromEnv())
	if err != nil {
		return tenure.Errorf(tenure.Invalid, "traces: %w", err).WithHint("look at OTEL_RESOURCE_ATTRIBUTES")
	}
	t.provider = sdktrace.NewTracerProvider(sdktrace.WithBatcher(out), sdktrace.WithResource(res))
	t.tracer = t.provider.Tracer("github.com/tenurehq/tenure")
	return nil
}

// Flush sends the spans that wait.
func (t *Telemetry) Flush(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.ForceFlush(ctx)
}

// Close sends the spans that wait and ends the exporter.
func (t *Telemetry) Close(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Handler answers with the metrics. What can't be read is left out.
func (t *Telemetry) Handler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// Store measures a store from now on: its transactions as they happen, and where
// it stands when somebody asks. It is called once.
func (t *Telemetry) Store(db *store.DB) {
	m := &t.meters
	done, failed := m.commits.WithLabelValues("done"), m.commits.WithLabelValues("undone")
	db.ObserveCommits(func(c store.Commit) {
		if c.Err != nil {
			failed.Inc()
			return
		}
		done.Inc()
		m.commitSize.Observe(float64(c.Size))
		m.commitTime.Observe(c.Took.Seconds())
	})
	t.registry.MustRegister(newStanding(db, t.o.Clock, t.o.Now))
}

// Event counts an event of a source of the settings, by what became of it.
func (t *Telemetry) Event(source, outcome string) {
	t.meters.events.WithLabelValues(source, outcome).Inc()
}

// EventRefused counts a request to a source of the settings that was refused.
func (t *Telemetry) EventRefused(source, reason string) {
	t.meters.refused.WithLabelValues(source, reason).Inc()
}

// Listeners shows how many event streams are open, as count says. It is called
// once.
func (t *Telemetry) Listeners(count func() int) {
	t.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tenure_event_listeners", Help: "Open event streams."}, func() float64 { return float64(count()) }))
}
