package connectortest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure/connector"
)

// TraceText is a trace as a line, without what is blank or not told, to compare with what
// was planted. A time is told by its day; with mask as <some>.
func TraceText(one connector.Trace, mask bool) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s %q", one.Kind, one.ID, one.Name)
	say := func(word string, values ...string) {
		if len(values) > 0 && values[0] != "" {
			fmt.Fprintf(&out, " %s=%s", word, strings.Join(values, ","))
		}
	}
	at := func(word string, when time.Time) {
		switch {
		case when.IsZero():
		case mask:
			say(word, "<some>")
		default:
			say(word, when.UTC().Format(time.DateOnly))
		}
	}
	say("type", one.Type)
	say("word", one.Word)
	say("in", one.In)
	say("called", one.Called...)
	say("mails", one.Mails...)
	say("external", one.ExternalIDs...)
	for _, name := range slices.Sorted(maps.Keys(one.Labels)) {
		say("label", name+":"+one.Labels[name])
	}
	say("owners", one.Owners...)
	say("reaches", one.Reaches...)
	say("all", one.All)
	say("open", one.Open)
	if one.Rows >= 0 {
		say("rows", fmt.Sprint(one.Rows))
	}
	if one.Bytes >= 0 {
		say("bytes", fmt.Sprint(one.Bytes))
	}
	at("made", one.Made)
	at("used", one.Used)
	at("expires", one.Expires)
	if one.Disabled {
		say("disabled", "yes")
	}
	say("lacks", one.Lacks...)
	say("bears", string(one.Bears))
	return out.String()
}

// Traced looks at a system, and gives what it was told as lines in the order in which they
// came. What stands in another must come after it, and no ID may come twice.
func Traced(t testing.TB, d connector.Driver, ask connector.Tracing, mask bool) (lines []string, told connector.Traced) {
	t.Helper()
	tracer, ok := d.(connector.Tracer)
	if !ok {
		t.Fatalf("%T is no Tracer", d)
	}
	ids := map[string]bool{"": true}
	told, err := tracer.Trace(t.Context(), ask, func(one connector.Trace) error {
		line := TraceText(one, mask)
		if !ids[one.In] {
			t.Errorf("%s comes before what it stands in", line)
		}
		if ids[one.ID] {
			t.Errorf("%s is told twice, or has no ID", line)
		}
		ids[one.ID] = true
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines, told
}
