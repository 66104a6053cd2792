package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// program answers one request.
type program struct {
	q           request
	s           *speaker
	options     map[string]string
	environment map[string]string
	binary      string
	states      states
}

func open(ctx context.Context, q request, s *speaker) (*program, error) {
	p := &program{q: q, s: s, options: q.Options}
	for name, words := range map[string][]string{"look": {"plan", "state"}, "ask": {"always", "changes", "never"}, "backend": {"pg", "local"}} {
		if !contains(words, p.options[name]) {
			return nil, refuse("invalid", "the option %s is one of %s", name, strings.Join(words, ", "))
		}
	}
	for name, most := range map[string]int{"minutes": 24 * 60, "wait": 3600} {
		if n, err := strconv.Atoi(p.options[name]); err != nil || n < 0 || n > most || name == "minutes" && n == 0 {
			return nil, refuse("invalid", "the option %s is a number of at most %d", name, most)
		}
	}
	if !filepath.IsAbs(p.options["modules"]) || p.options["plugins"] != "" && !filepath.IsAbs(p.options["plugins"]) {
		return nil, refuse("invalid", "the options modules and plugins are absolute paths")
	}
	var err error
	if p.environment, err = readEnvironment(q.Secrets["environment"]); err != nil {
		return nil, err
	}
	if p.binary, err = findBinary(p.options["binary"]); err != nil {
		return nil, err
	}
	if p.options["backend"] == "local" {
		p.states, err = openLocal(q)
	} else {
		p.states, err = openPG(ctx, q)
	}
	return p, err
}

// readEnvironment reads lines of NAME=VALUE.
func readEnvironment(text string) (map[string]string, error) {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || !variableName.MatchString(name) || strings.HasPrefix(name, "TF_") || strings.HasPrefix(name, "LD_") || contains([]string{"PATH", "HOME", "TMPDIR", "PG_CONN_STR", "PG_SCHEMA_NAME", "CHECKPOINT_DISABLE"}, name) {
			return nil, refuse("invalid", "the secret environment has a line that is no NAME=VALUE, or a name that is Terraform's own")
		}
		out[name] = value
	}
	return out, nil
}

// limited is how long Terraform may work before it is told to save its state and end.
func (p *program) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	n, _ := strconv.Atoi(p.options["minutes"])
	return context.WithTimeout(ctx, time.Duration(n)*time.Minute)
}

// usable refuses names that are Terraform's or Tenure's own.
func usable(name string) error {
	if name == sentinel || name == "default" {
		return refuse("invalid", "the workspace %s is none of a tenant's", name)
	}
	return nil
}

// module is the one that the configuration pins: as it stands in the folder of modules, or
// as it was when it was applied.
func (p *program) module(ctx context.Context, c configuration) (*module, error) {
	folder := filepath.Join(p.options["modules"], c.Module)
	m, err := readModule(folder)
	if err == nil && m.digest == c.Digest {
		return m, nil
	}
	raw, failed := p.states.archive(ctx, c.Digest)
	if failed != nil {
		return nil, failed
	}
	if raw != nil && digestOf(raw) == c.Digest {
		return readArchive(raw)
	}
	switch {
	case os.IsNotExist(err):
		return nil, refuse("blocked", "there is no module %s", c.Module).hint("its folder is looked for in the system's folder of modules")
	case err != nil:
		return nil, err
	}
	return nil, refuse("blocked", "module %s isn't the one that was asked for: its digest is %s, and should be %s", c.Module, m.digest, c.Digest).
		hint("look at what changed; if it is right, write its digest into the blueprint")
}

func (p *program) plant(ctx context.Context) (any, error) {
	ctx, cancel := p.limited(ctx)
	defer cancel()
	if err := p.states.plant(ctx); err != nil {
		return nil, err
	}
	w, g, err := p.one(ctx, sentinel)
	if err != nil {
		return nil, err
	}
	if w.state == nil {
		if err := p.plantSentinel(ctx); err != nil {
			return nil, err
		}
	}
	return map[string]any{"fingerprint": g.Fingerprint}, nil
}

// plantSentinel makes the sentinel workspace with Terraform itself, which shows that it can
// be run and reaches its backend.
func (p *program) plantSentinel(ctx context.Context) error {
	r, err := p.runner(configuration{}, &module{files: map[string][]byte{"main.tf": nil}}, false)
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.init(ctx); err != nil {
		return err
	}
	if err := r.newWorkspace(ctx, sentinel); err != nil {
		return err
	}
	if p.options["backend"] == "pg" {
		return nil
	}
	return r.apply(ctx, sentinel, false) // which writes the state here
}

// one looks at one workspace.
func (p *program) one(ctx context.Context, name string) (w workspace, g sighting, err error) {
	g, err = p.states.look(ctx, []string{name}, func(seen workspace) error { w = seen; return nil })
	return w, g, err
}

func (p *program) observe(ctx context.Context) (any, error) {
	ctx, cancel := p.limited(ctx)
	defer cancel()
	names := []string{}
	for _, r := range p.q.Resources {
		names = append(names, r.Name)
	}
	var all []workspace
	g, err := p.states.look(ctx, names, func(w workspace) error { all = append(all, w); return nil })
	if err != nil {
		return nil, err
	}
	drifts := make([]string, len(all))
	failed := make([]error, len(all))
	if p.options["look"] == "plan" {
		var work sync.WaitGroup
		slots := make(chan struct{}, atOnce)
		for i, w := range all {
			if w.state == nil || !w.ours() && !w.adoptable() {
				continue
			}
			work.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				drifts[i], failed[i] = p.drift(ctx, w)
			})
		}
		work.Wait()
	}
	for i, w := range all {
		if failed[i] != nil {
			return nil, failed[i]
		}
		if err := p.s.say("observed", seen(w, drifts[i])); err != nil {
			return nil, err
		}
	}
	return map[string]any{"sighting": g}, nil
}

// atOnce is how many workspaces are planned side by side.
const atOnce = 4

// drift is how what is there differs from what was applied; "" if it doesn't.
func (p *program) drift(ctx context.Context, w workspace) (string, error) {
	if w.state.record == "" {
		return "", nil // which seen tells of
	}
	var c configuration
	if err := readJSON(w.state.record, &c); err != nil {
		return "the record of what was applied can't be read", nil
	}
	o, err := p.outlook(ctx, c, w)
	if err != nil || o.Says == "" {
		return "", err
	}
	return o.Says, nil
}

// outlook plans a configuration against a workspace, and changes nothing.
func (p *program) outlook(ctx context.Context, c configuration, w workspace) (*outlook, error) {
	m, err := p.module(ctx, c)
	if err != nil {
		return nil, err
	}
	r, err := p.runner(c, m, w.state == nil)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if w.state != nil {
		if err := r.choose(w.name); err != nil {
			return nil, err
		}
	}
	if err := r.init(ctx); err != nil {
		return nil, err
	}
	if err := r.local(); err != nil {
		return nil, err
	}
	return r.plan(ctx, w.name, false)
}

// seen is a workspace as Tenure is told of it.
func seen(w workspace, drift string) observed {
	o := observed{Type: "workspace", Name: w.name, Found: w.there() && usable(w.name) == nil}
	if !o.Found {
		return o
	}
	o.Mark = w.bears()
	o.Attributes = map[string]any{}
	switch {
	case !w.ours() && !w.adoptable():
		return o
	case w.lost():
		drift, o.Detail = "the state is gone", "the state went, and not by Tenure: what the module made may still be there"
	case w.state == nil || w.state.record == "":
		drift, o.Detail = "an apply hasn't ended", "an apply or a destruction began and didn't end"
	default:
		var c configuration
		if readJSON(w.state.record, &c) == nil {
			o.Attributes["module"], o.Attributes["digest"], o.Attributes["variables"] = c.Module, c.Digest, c.Variables
		}
		o.Metrics = map[string]int64{"resources": int64(w.state.things)}
		if w.note != nil && w.note.Pending != "" {
			drift, o.Detail = "an apply hasn't ended", "an apply began and didn't end"
		}
	}
	o.Attributes["drift"] = drift
	return o
}

func (p *program) discover(ctx context.Context) (any, error) {
	g, err := p.states.look(ctx, nil, func(w workspace) error {
		if o := seen(w, ""); o.Found {
			return p.s.say("observed", o)
		}
		return nil
	})
	return map[string]any{"sighting": g}, err
}

func (p *program) foresee(ctx context.Context) (any, error) {
	ctx, cancel := p.limited(ctx)
	defer cancel()
	for _, r := range p.q.Resources {
		if p.options["ask"] == "never" || usable(r.Name) != nil {
			continue
		}
		w, _, err := p.one(ctx, r.Name)
		if err != nil {
			return nil, err
		}
		if w.there() && !w.ours() || w.lost() { // which ensure refuses
			continue
		}
		o, err := p.outlook(ctx, r.Attributes, w)
		if err != nil {
			return nil, err
		}
		if w.note != nil {
			o = o.settled(r.Attributes, w.note.Pending)
		}
		if says := p.asked(o); says != "" {
			if err := p.s.say("change", change{r.Type, r.Name, says}); err != nil {
				return nil, err
			}
		}
	}
	return map[string]any{}, nil
}

// asked is what a person is asked to let pass; "" if nothing.
func (p *program) asked(o *outlook) string {
	if p.options["ask"] == "never" || p.options["ask"] == "changes" && o.Change+o.Destroy == 0 {
		return ""
	}
	return o.Says
}
