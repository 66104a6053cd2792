package exec

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"
	"unicode"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var errSlow = errors.New("it took too long")

// told is told of a call: what was asked, how it ended and how long it took.
type told func(call string, err error, took time.Duration)

// call starts the program with one request and hands each line but the last to each. It
// gives the result, decoded into into. Its errors tell no secret.
func (d *driver) call(ctx context.Context, q request, into any, each func(line) error) error {
	started := d.now()
	veil := d.veil
	if q.Credential != "" {
		veil = connector.NewVeil(append(d.hidden, tenure.NewSecret(q.Credential))...)
	}
	err := d.ask(ctx, q, veil, into, each)
	if stop := (*stopped)(nil); errors.As(err, &stop) {
		err = stop.err
	} else if err != nil {
		err = veil.Err(tenure.Errorf(tenure.CodeOf(err), "program %s, %s: %w", d.Name, q.Call, err))
	}
	if d.told != nil {
		d.told(q.Call, err, d.now().Sub(started))
	}
	return err
}

// stopped is the error of who was handed the lines.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

func (d *driver) ask(ctx context.Context, q request, veil connector.Veil, into any, each func(line) error) error {
	if ctx.Err() != nil {
		return tenure.Errorf(tenure.Unavailable, "%w", context.Cause(ctx)).Retryable()
	}
	shapes, err := answerShapes()
	if err != nil {
		return tenure.Errorf(tenure.Internal, "the schema of answers: %w", err)
	}
	q.Protocol, q.System, q.Now, q.Options = protocol, d.marker.System, d.now().UTC(), d.options
	q.Secrets = map[string]string{}
	for name, secret := range d.secrets {
		q.Secrets[name] = secret.Reveal()
	}
	asked, err := plainJSON(q)
	if err != nil {
		return tenure.Errorf(tenure.Invalid, "the request can't be written: %w", err)
	}
	limit := d.Limits.time()
	inner, cancel := context.WithTimeoutCause(ctx, limit, errSlow)
	defer cancel()
	r := &reader{shape: shapes[q.Call], veil: veil, left: mib(d.Limits.Output, usualOutput)}
	if q.Call == "export" {
		r.left = mib(d.Limits.Export, usualExport)
	}
	var result json.RawMessage
	var fault *errorLine
	end, err := d.run(inner, asked, func(out io.Reader) error {
		r.in = bufio.NewReaderSize(out, 1<<16)
		for {
			l, err := r.next()
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return err
			case result != nil || fault != nil:
				return r.wrong("comes after its end")
			case l.Result != nil:
				result = l.Result
			case l.Error != nil:
				fault = l.Error
			default:
				if err := each(l); err != nil {
					return err
				}
			}
		}
	})
	said := end.said(veil)
	switch {
	case inner.Err() != nil && errors.Is(context.Cause(inner), errSlow):
		return tenure.Errorf(tenure.Unavailable, "it gave no answer within %s and was ended%s", limit, said).Retryable()
	case inner.Err() != nil:
		return tenure.Errorf(tenure.Unavailable, "%w", context.Cause(ctx)).Retryable()
	case err != nil:
		return err
	case fault != nil:
		return fault.err()
	case end.how != "":
		return tenure.Errorf(tenure.Unavailable, "it ended with %s%s", end.how, said).Retryable()
	case result == nil:
		return tenure.Errorf(tenure.Unavailable, "it ended without a result%s", said).Retryable()
	}
	if err := json.Unmarshal(result, into); err != nil {
		return tenure.Errorf(tenure.Internal, "its result can't be read: %w", err)
	}
	return nil
}

func (e *errorLine) err() error {
	err := tenure.Errorf(e.Code, "%s", visible(e.Message, 2000))
	if e.Hint != "" {
		err = err.WithHint("%s", visible(e.Hint, 500))
	}
	if e.Retry {
		err = err.Retryable()
	}
	return err
}

// ending is how a program ended.
type ending struct {
	how    string // "" if well
	stderr []byte // the last of it
}

// said is what a program told people, for a message.
func (e ending) said(veil connector.Veil) string {
	text := strings.TrimSpace(veil.Text(strings.ToValidUTF8(string(e.stderr), "\ufffd")))
	if text == "" {
		return ""
	}
	if r := []rune(text); len(r) > 500 {
		text = "…" + string(r[len(r)-500:])
	}
	return fmt.Sprintf(" (it says: %s)", visible(text, 501))
}

// visible is a text on one line, without what moves a terminal's cursor, clipped.
func visible(text string, most int) string {
	text = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case unicode.IsControl(c), unicode.Is(unicode.Cf, c):
			return '\ufffd'
		}
		return c
	}, strings.Join(strings.Fields(text), " "))
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return text
}

func plainJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return out.Bytes(), err
}

// environment is what a program finds: nothing of Tenure's own.
func (d *driver) environment(folder string) []string {
	vars := maps.Clone(d.Program.Environment)
	if vars == nil {
		vars = map[string]string{}
	}
	vars["PATH"], vars["HOME"], vars["TMPDIR"] = "/usr/local/bin:/usr/bin:/bin", folder, folder
	if vars["LANG"] == "" {
		vars["LANG"] = "C.UTF-8"
	}
	var out []string
	for name, value := range vars {
		out = append(out, name+"="+value)
	}
	return out
}
