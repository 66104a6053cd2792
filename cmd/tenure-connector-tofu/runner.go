package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/terraform-exec/tfexec"
	tfjson "github.com/hashicorp/terraform-json"
)

// runner runs Terraform in a folder of its own, below the call's.
type runner struct {
	p      *program
	tf     *tfexec.Terraform
	folder string
}

// saving is how long an interrupted Terraform may take to save its state.
const saving = 2 * time.Minute

// findBinary is where tofu or terraform is.
func findBinary(option string) (string, error) {
	if option != "" {
		if !filepath.IsAbs(option) || !executable(option) {
			return "", refuse("blocked", "%s is no program with an absolute path", option).hint("set the system's option binary to that of tofu or terraform")
		}
		return option, nil
	}
	for _, name := range []string{"tofu", "terraform"} {
		for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
			if path := filepath.Join(dir, name); filepath.IsAbs(path) && executable(path) {
				return path, nil
			}
		}
	}
	return "", refuse("blocked", "neither tofu nor terraform is in %s", os.Getenv("PATH")).hint("install one of them, or set the system's option binary")
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// runner makes a folder with the root module of a configuration. With empty it plans against
// a state that has nothing in it and that nobody else sees.
func (p *program) runner(c configuration, m *module, empty bool) (*runner, error) {
	folder, err := os.MkdirTemp("", "run-")
	if err != nil {
		return nil, refuse("unavailable", "%s", err).retry()
	}
	r := &runner{p: p, folder: folder}
	if err := r.fill(c, m, empty); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *runner) close() { _ = os.RemoveAll(r.folder) }

func (r *runner) fill(c configuration, m *module, empty bool) error {
	kind, settings, environment := r.p.states.backend()
	if empty {
		kind, settings, environment = "local", map[string]string{"path": filepath.Join(r.folder, "empty.tfstate")}, nil
	}
	hcl, values, err := root(c, kind, settings)
	if err != nil {
		return err
	}
	if err := m.write(filepath.Join(r.folder, "module")); err != nil {
		return err
	}
	files := map[string][]byte{"main.tf": hcl, "tenure.auto.tfvars.json": values, "cli.tfrc": nil}
	if lock, ok := m.files[".terraform.lock.hcl"]; ok {
		files[".terraform.lock.hcl"] = lock
	}
	for name, raw := range files {
		if err := os.WriteFile(filepath.Join(r.folder, name), raw, 0o600); err != nil {
			return refuse("unavailable", "%s", err).retry()
		}
	}
	for _, dir := range []string{"plugins", ".terraform"} {
		if err := os.Mkdir(filepath.Join(r.folder, dir), 0o700); err != nil {
			return refuse("unavailable", "%s", err).retry()
		}
	}
	if r.tf, err = tfexec.NewTerraform(r.folder, r.p.binary); err != nil {
		return refuse("blocked", "%s", err)
	}
	env := map[string]string{"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": filepath.Join(r.folder, "cli.tfrc")}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG"} {
		env[name] = os.Getenv(name)
	}
	for _, more := range []map[string]string{r.p.environment, environment} {
		for name, value := range more {
			env[name] = value
		}
	}
	if err := r.tf.SetEnv(env); err != nil {
		return refuse("invalid", "the secret environment has a variable that can't be given")
	}
	if err := r.tf.SetWaitDelay(saving); err != nil {
		return refuse("internal", "%s", err)
	}
	return nil
}

// init reaches the backend, and nothing else: providers come from the mirror, and a module
// holds all that it calls.
func (r *runner) init(ctx context.Context) error {
	plugins := r.p.options["plugins"]
	if plugins == "" {
		plugins = filepath.Join(r.folder, "plugins")
	}
	if err := r.tf.Init(ctx, tfexec.PluginDir(plugins)); err != nil {
		return r.failed(ctx, "init", err)
	}
	return nil
}

// choose has the next commands work on a workspace that is there. It is what workspace select
// writes down.
func (r *runner) choose(name string) error {
	if err := os.WriteFile(filepath.Join(r.folder, ".terraform", "environment"), []byte(name), 0o600); err != nil {
		return refuse("unavailable", "%s", err).retry()
	}
	return nil
}

func (r *runner) newWorkspace(ctx context.Context, name string) error {
	if err := r.tf.WorkspaceNew(ctx, name); err != nil {
		if strings.Contains(err.Error(), "already exists") {
			return r.choose(name)
		}
		return r.failed(ctx, "workspace new", err)
	}
	return nil
}

func (r *runner) removeWorkspace(ctx context.Context, name string) error {
	if err := r.choose("default"); err != nil {
		return err
	}
	if err := r.tf.WorkspaceDelete(ctx, name, tfexec.Force(true)); err != nil { // force: the workspace was seen to be empty but for outputs
		return r.failed(ctx, "workspace delete", err, name)
	}
	return nil
}

// plan makes a plan and keeps it in a file, so that just it is applied.
func (r *runner) plan(ctx context.Context, name string, lock bool) (*outlook, error) {
	file := filepath.Join(r.folder, "plan")
	if _, err := r.tf.Plan(ctx, tfexec.Out(file), tfexec.Lock(lock), r.wait()); err != nil {
		return nil, r.failed(ctx, "plan", err, name)
	}
	var p *tfjson.Plan
	p, err := r.tf.ShowPlanFile(ctx, file)
	if err != nil {
		return nil, r.failed(ctx, "show", err)
	}
	return outlookOf(name, p), nil
}

// apply applies the plan that was kept or, without one, what Terraform plans then.
func (r *runner) apply(ctx context.Context, name string, planned bool) error {
	with := []tfexec.ApplyOption{r.wait()}
	if planned {
		with = append(with, tfexec.DirOrPlan(filepath.Join(r.folder, "plan")))
	}
	if err := r.tf.Apply(ctx, with...); err != nil {
		return r.failed(ctx, "apply", err, name)
	}
	return nil
}

func (r *runner) destroy(ctx context.Context, name string) error {
	if err := r.tf.Destroy(ctx, r.wait()); err != nil {
		return r.failed(ctx, "destroy", err, name)
	}
	return nil
}

func (r *runner) wait() *tfexec.LockTimeoutOption {
	return tfexec.LockTimeout(r.p.options["wait"] + "s")
}

var (
	sayings = regexp.MustCompile(`(?m)^[│ ]*Error: (.+)$`)
	places  = regexp.MustCompile(`(?m)^[│ ]*on (\S+) line (\d+)`)
)

// failed is what Terraform said, as Tenure is told: the headings of its errors and where they
// lie, without the values that it would go on to show.
func (r *runner) failed(ctx context.Context, command string, err error, about ...string) error {
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		return refuse("unavailable", "terraform %s was interrupted: it took longer than %s minutes", command, r.p.options["minutes"]).retry().hint("what it made by then is in the state; raise the system's option minutes")
	}
	said := err.Error()
	var words []string
	for _, m := range sayings.FindAllStringSubmatch(said, 5) {
		words = append(words, m[1])
	}
	text := strings.Join(words, "; ")
	if text == "" {
		text = "it ended without saying why"
	}
	m := places.FindStringSubmatch(said)
	if m != nil {
		text += fmt.Sprintf(" (%s line %s)", m[1], m[2])
	}
	out := refuse("blocked", "terraform %s: %s", command, text)
	name := strings.Join(about, "")
	switch {
	case strings.Contains(said, "Error acquiring the state lock"), strings.Contains(said, "lready locked"):
		who, hint := r.p.states.holder(context.WithoutCancel(ctx), name)
		return refuse("blocked", "the state of workspace %s is locked by %s", name, who).retry().hint("%s", hint)
	case strings.Contains(said, "Instance cannot be destroyed"):
		return out.hint("something in the module has prevent_destroy: take it off, give the module's new digest, and go on")
	case strings.Contains(said, "Failed to query available provider packages"), strings.Contains(said, "Required plugins are not installed"), strings.Contains(said, "Inconsistent dependency lock file"):
		return out.hint("put the provider into the system's folder plugins, with terraform providers mirror: nothing is fetched from the network")
	case strings.Contains(said, "Saved plan is stale"):
		return refuse("conflict", "workspace %s changed while it was planned", name).retry()
	case command == "init" && m == nil, strings.Contains(said, "connection refused"), strings.Contains(said, "pq: "):
		return out.unavailable()
	case command == "apply", command == "destroy":
		return out.unavailable().hint("what it has done is in the state; another attempt goes on from there")
	}
	return out
}

func (r *refusal) unavailable() *refusal {
	r.Code = "unavailable"
	return r.retry()
}

// local refuses a module that calls what its digest doesn't cover.
func (r *runner) local() error {
	raw, err := os.ReadFile(filepath.Join(r.folder, ".terraform", "modules", "modules.json"))
	if err != nil {
		return refuse("internal", "%s", err)
	}
	var in struct {
		Modules []struct{ Key, Source, Dir string }
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return refuse("internal", "%s", err)
	}
	for _, m := range in.Modules {
		if m.Dir != "." && m.Dir != "module" && !strings.HasPrefix(filepath.ToSlash(m.Dir), "module/") {
			return refuse("blocked", "the module calls %s, which its digest doesn't cover", m.Key).hint("copy what it calls into its folder")
		}
	}
	return nil
}
