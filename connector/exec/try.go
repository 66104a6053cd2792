package exec

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/trial"
)

var kindLine = regexp.MustCompile(`(?m)^kind:[ \t]*Program\b`)

// Is says whether a file looks like a manifest, right or wrong.
func Is(src []byte) bool { return kindLine.Match(src) }

// Try exercises a program against a system, by the samples (try) of its types; see trial.Run.
func Try(ctx context.Context, m *Manifest, c connector.Config, tell func(trial.Trial)) (bool, error) {
	s := trial.Subject{Open: func(ctx context.Context, c connector.Config, told func(string)) (connector.Driver, error) {
		opened, err := m.open(ctx, c)
		if err != nil {
			return nil, err
		}
		opened.(*driver).told = func(call string, err error, took time.Duration) {
			how := "well"
			if err != nil {
				how = err.Error()
			}
			told(fmt.Sprintf("%s → %s in %d ms", call, how, took.Milliseconds()))
		}
		return opened, nil
	}}
	for _, t := range m.Types {
		one := trial.Sample{Type: t.Name, Credential: t.Credential, Can: t.can}
		if t.Try != nil {
			one.Name, one.Attributes = t.Try.Name, t.Try.Attributes
		}
		s.Samples = append(s.Samples, one)
	}
	return trial.Run(ctx, s, c, tell)
}
