package blueprint

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/source"
)

// maxArtifactText bounds each text of an artifact, in characters.
const maxArtifactText = 500

// checkArtifacts refuses artifacts of which two things are foreseen, or that nobody can be told of, and two that are
// one.
func (k *checker) checkArtifacts() {
	seen := make(map[[2]string]bool)
	for i, a := range k.Blueprint.Offboarding.Artifacts {
		p := source.Path{"offboarding", "artifacts"}.Index(i)
		for _, f := range artifactTexts(&a) {
			if *f.text == "" {
				continue
			}
			k.line(p.With(f.name), "an artifact's "+f.name, *f.text)
			if t := k.text(inTenant, p.With(f.name), *f.text); t != nil {
				k.checkParams(p.With(f.name), t, nil)
			}
		}
		if a.To != "" && a.Archive != "" {
			k.refuse(p.With("archive"), "give to where it gets another owner, archive where it is put away, or neither", "one thing is foreseen for an artifact")
		}
		if err := tenure.CheckOwner(a.Owner); err != nil {
			k.refuse(p.With("owner"), "platform, security, contact, role:NAME, group:NAME or person:NAME", "nobody can be told of an artifact as %q", a.Owner)
		}
		id := [2]string{strings.ToLower(a.Name), strings.ToLower(a.Where)}
		if seen[id] {
			k.refuse(p.With("name"), "list each artifact once", "two artifacts are named %q and are at one place", source.Clip(a.Name))
		}
		seen[id] = true
	}
}

// artifactText is one text of an artifact that may hold expressions.
type artifactText struct {
	name string
	text *string
}

func artifactTexts(a *tenure.ArtifactSpec) []artifactText {
	return []artifactText{{"name", &a.Name}, {"where", &a.Where}, {"to", &a.To}, {"archive", &a.Archive}}
}

// artifacts works out what is handed over in a departure. A text that can't be worked out is refused. It stops nobody's
// exit: for who leaves it stays as the blueprint has it, so that the hand-over isn't lost.
func (e *evaluation) artifacts(vars map[string]any) []tenure.ArtifactSpec {
	var out []tenure.ArtifactSpec
	for i, a := range e.Blueprint.Offboarding.Artifacts {
		p := source.Path{"offboarding", "artifacts"}.Index(i)
		for _, f := range artifactTexts(&a) {
			if *f.text == "" {
				continue
			}
			v, err := e.texts[inTenant][*f.text].run(vars)
			said := ""
			if err == nil {
				said, err = connector.InText(v)
			}
			switch said = strings.TrimSpace(said); {
			case err != nil:
				e.refuse(p.With(f.name), "%s", cause(err))
			case !isLine(said, maxArtifactText):
				e.refuse(p.With(f.name), "it is one line of up to %d characters, and would be %s", maxArtifactText, source.Quote(said))
			default:
				*f.text = said
			}
		}
		out = append(out, a)
	}
	return out
}

// isLine says whether a text is a line of so many characters that shows something, in which nothing is turned around.
func isLine(s string, most int) bool {
	return tenure.Shows(s) && utf8.ValidString(s) && utf8.RuneCountInString(s) <= most &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
		})
}
