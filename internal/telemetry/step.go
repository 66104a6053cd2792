package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/engine"
)

// sameTrace is for how long an operation's steps stand in the trace of the request
// that started it; later ones, of a retention of years, have their own and link to
// it.
const sameTrace = 24 * time.Hour

// Step is engine.Engine.Observe's: it counts a step's run and gives it a span below
// the request that started the operation.
func (t *Telemetry) Step(ctx context.Context, task *engine.Task) (context.Context, func(engine.Result)) {
	began := t.o.Clock()
	action := string(task.Step.Action)
	ctx, span := t.stepSpan(ctx, task)
	return ctx, func(r engine.Result) {
		how := outcome(r)
		t.meters.steps.WithLabelValues(action, how).Inc()
		t.meters.stepTime.WithLabelValues(action).Observe(t.o.Clock().Sub(began).Seconds())
		if span != nil {
			span.SetAttributes(attribute.String("tenure.verdict", how))
			end(span, r.Err)
		}
	}
}

func (t *Telemetry) stepSpan(ctx context.Context, task *engine.Task) (context.Context, trace.Span) {
	if t.tracer == nil {
		return ctx, nil
	}
	options := []trace.SpanStartOption{trace.WithAttributes(
		attribute.String("tenure.operation", string(task.Operation.ID)), attribute.String("tenure.operation.kind", string(task.Operation.Kind)),
		attribute.String("tenure.action", string(task.Step.Action)), attribute.String("tenure.system", task.Step.System), attribute.Int("tenure.attempt", task.Row.Attempt),
	)}
	from := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": task.Trace}))
	switch {
	case !from.IsValid():
		options = append(options, trace.WithNewRoot())
	case task.Now.Sub(task.Operation.CreatedAt) > sameTrace:
		options = append(options, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: from}))
	default:
		ctx = trace.ContextWithRemoteSpanContext(ctx, from)
	}
	return t.tracer.Start(ctx, "step "+string(task.Step.Action), options...)
}

// outcome is how a run ended, in a word.
func outcome(r engine.Result) string {
	switch {
	case r.Yielded():
		return "stopped"
	case !r.Again.IsZero():
		return "wait"
	case tenure.CanRetry(r.Err):
		return "retry"
	case r.Err != nil && r.Verdict == "":
		return string(tenure.Failed)
	case r.Verdict == "":
		return string(tenure.Unknown)
	}
	return string(r.Verdict)
}

// Call is connector.System.Observer's: it counts a call to a system and gives it a
// span below the step's.
func (t *Telemetry) Call(ctx context.Context, s *connector.System, method string) func(error) {
	began := t.o.Clock()
	var span trace.Span
	if t.tracer != nil {
		_, span = t.tracer.Start(ctx, "connector."+method, trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(attribute.String("tenure.system", s.Name), attribute.String("tenure.connector", s.Info.Name)))
	}
	return func(err error) {
		code := "ok"
		if err != nil {
			code = string(tenure.CodeOf(err))
		}
		t.meters.calls.WithLabelValues(s.Name, s.Info.Name, method, code).Inc()
		t.meters.callTime.WithLabelValues(s.Name, method).Observe(t.o.Clock().Sub(began).Seconds())
		if span != nil {
			end(span, err)
		}
	}
}

// end ends a span. Of an error it tells the code alone: its text may hold names.
func end(span trace.Span, err error) {
	if err != nil {
		code := string(tenure.CodeOf(err))
		span.SetAttributes(attribute.String("tenure.error", code))
		span.SetStatus(codes.Error, code)
	}
	span.End()
}
