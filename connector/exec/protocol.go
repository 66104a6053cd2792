package exec

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/source"
)

// protocol is the version of what is spoken with programs.
const protocol = 1

// request is what a program reads from its standard input: one JSON object, and the end.
type request struct {
	Protocol int               `json:"protocol"`
	Call     string            `json:"call"`
	System   string            `json:"system"`
	Now      time.Time         `json:"now"`
	Options  map[string]string `json:"options"`
	Secrets  map[string]string `json:"secrets"`

	Resource   *resource  `json:"resource,omitempty"`
	Resources  []resource `json:"resources,omitempty"` // observe, foresee
	Types      []string   `json:"types,omitempty"`     // discover
	Bears      string     `json:"bears,omitempty"`     // the mark that Tenure saw on the thing just now
	Mark       string     `json:"mark,omitempty"`      // ensure, adopt: the mark that it is to bear
	State      string     `json:"state,omitempty"`     // the state that Tenure saw it in; adopt: the one that it is to have
	Credential string     `json:"credential,omitempty"`
	Foreseen   *string    `json:"foreseen,omitempty"` // ensure: what a person let it change, "" if nothing; not there where nobody was asked
	Erase      *eraseAsk  `json:"erase,omitempty"`
	Run        string     `json:"run,omitempty"` // tally
	Map        *mapAsk    `json:"map,omitempty"`
	Probe      *probeAsk  `json:"probe,omitempty"`
}

type resource struct {
	ID          tenure.ResourceID `json:"id,omitempty"`
	Tenant      tenure.TenantID   `json:"tenant,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Type        string            `json:"type"`
	Name        string            `json:"name"`
	Attributes  map[string]any    `json:"attributes"`
	Classes     []string          `json:"classes,omitempty"`
}

type eraseAsk struct {
	Run     string `json:"run"`
	Class   string `json:"class,omitempty"`
	Limit   int    `json:"limit"`
	Seconds int64  `json:"seconds,omitempty"`
	Cursor  string `json:"cursor,omitempty"`
	Gone    bool   `json:"gone,omitempty"`
}

type mapAsk struct {
	Order []string `json:"order,omitempty"`
	Gone  bool     `json:"gone,omitempty"`
}

type probeAsk struct {
	Kind       string            `json:"kind"`
	Other      *resource         `json:"other,omitempty"`
	Params     map[string]string `json:"params,omitempty"`
	Encryption any               `json:"encryption,omitempty"`
}

// line is one line of an answer. One of its fields is given.
type line struct {
	Observed *observedLine
	Change   *changeLine
	Place    *placeLine
	Data     *string
	Result   json.RawMessage
	Error    *errorLine
}

type observedLine struct {
	Type, Name string
	Found      *bool // true where it isn't given
	State      tenure.ResourceState
	Mark       string
	Attributes map[string]any
	Metrics    map[string]int64
	Detail     string
}

type changeLine struct{ Type, Name, Says string }

type placeLine struct {
	Name  string
	Kind  connector.PlaceKind
	Class string
	Via   string
	Rows  int64
	Bytes int64
	Says  string
	Fix   string

	Blocks bool
}

type errorLine struct {
	Code    tenure.Code
	Message string
	Retry   bool
	Hint    string
}

type sightingLine struct {
	Fingerprint string
	Sentinel    bool
	Complete    bool
	Hidden      string
}

//go:embed answer.schema.json
var answerText []byte

// AnswerSchema is the JSON Schema (2020-12) of the lines of an answer, for who writes a program.
func AnswerSchema() []byte { return bytes.Clone(answerText) }

// answerShapes are the schemas of a line, by call.
var answerShapes = sync.OnceValues(func() (map[string]*source.Shape, error) {
	var doc struct {
		Defs  any                       `json:"$defs"`
		Calls map[string]map[string]any `json:"calls"`
	}
	if err := json.Unmarshal(answerText, &doc); err != nil {
		return nil, err
	}
	out := map[string]*source.Shape{}
	for call, line := range doc.Calls {
		line["$defs"] = doc.Defs
		shape, err := source.CompileShape(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", call, err)
		}
		out[call] = shape
	}
	return out, nil
})

// longestLine is how long one line of an answer may be.
const longestLine = 1 << 20

// reader reads the lines of one answer, and no more than it may hold.
type reader struct {
	in    *bufio.Reader
	shape *source.Shape
	veil  connector.Veil
	left  int64 // bytes that the answer may have besides
	n     int   // lines so far
}

func (r *reader) wrong(format string, args ...any) error {
	return tenure.Errorf(tenure.Internal, "line %d of its answer %s", r.n, fmt.Sprintf(format, args...))
}

// next gives a line that is as the protocol has it, with secrets veiled; io.EOF at the end.
func (r *reader) next() (l line, err error) {
	raw, err := r.raw()
	if err != nil {
		return l, err
	}
	v, err := tenure.ReadJSON(raw)
	if err != nil {
		return l, r.wrong("can't be read: %v", err)
	}
	m, _ := v.(map[string]any)
	data, isData := m["data"].(string)
	if isData {
		m["data"] = "" // which is looked at when it is unpacked
	}
	v = veiled(r.veil, v)
	if bad := r.shape.Check(v, nil); len(bad) > 0 {
		b := bad[0]
		words := b.Message
		if b.Hint != "" {
			words += "; " + b.Hint
		}
		return l, r.wrong("is none of this protocol: %s: %s", b.At, words)
	}
	if raw, err = json.Marshal(v); err != nil {
		return l, r.wrong("can't be read: %v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&l); err != nil {
		return l, r.wrong("can't be read: %v", err)
	}
	if isData {
		l.Data = &data
	}
	return l, nil
}

// raw gives the next line as it stands.
func (r *reader) raw() ([]byte, error) {
	var out []byte
	r.n++
	for {
		part, err := r.in.ReadSlice('\n')
		out = append(out, part...)
		switch r.left -= int64(len(part)); {
		case r.left < 0:
			return nil, tenure.Errorf(tenure.Internal, "it writes more than it may").WithHint("raise limits.output or limits.export in its manifest, if that is right")
		case len(out) > longestLine:
			return nil, r.wrong("is longer than 1 MiB")
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(out) == 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			return nil, r.wrong("doesn't end")
		case err != nil:
			return nil, err
		default:
			return bytes.TrimSuffix(out, []byte("\n")), nil
		}
	}
}

// veiled is a value without secrets, in names and texts.
func veiled(veil connector.Veil, v any) any {
	switch v := v.(type) {
	case string:
		return veil.Text(v)
	case []any:
		for i := range v {
			v[i] = veiled(veil, v[i])
		}
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, e := range v {
			out[veil.Text(name)] = veiled(veil, e)
		}
		return out
	}
	return v
}
