package main

import (
	"context"
	"net/url"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/installation"
)

// madeInstallation is what init says that it made.
type madeInstallation struct {
	Installation tenure.InstallationID `json:"installation"`
	Dir          string                `json:"dir"`
	Key          string                `json:"key"` // verifier key
	Files        []string              `json:"files"`
	Bootstrap    string                `json:"bootstrap"` // one-time code for the first admin, good for 24 hours
}

func (a *app) initCommand() *cobra.Command {
	var set installation.Settings
	cmd := command("init", "Make an installation in a folder",
		"Makes the folder with its store, its keystore with the signing key, and examples of the two settings files. Keep the\nkeystore out of the store's backups.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			if u, err := url.Parse(set.Store); err == nil && u.User != nil {
				if _, secret := u.User.Password(); secret {
					return tenure.Errorf(tenure.Invalid, "the store's address holds a password, and tenure.yaml would keep it in clear").
						WithHint("keep the address elsewhere: --store env:NAME, --store file:PATH or --store vault:MOUNT/PATH#FIELD")
				}
			}
			made, err := a.initialise(cmd.Context(), set)
			if err != nil {
				return err
			}
			return a.show(made, func(o *page) { printMade(o, made) })
		})
	cmd.Flags().StringVar(&set.Store, "store", "", "the store: a path, a postgres:// address without a password, env:NAME, file:PATH or vault:MOUNT/PATH#FIELD (default tenure.db in the folder)")
	cmd.Flags().StringVar(&set.Witness, "witness", "", "where checkpoints of the log are kept, out of this machine's reach: a file's path or an http(s) address")
	return cmd
}

// initialise makes an installation, with the code that lets its first admin in.
func (a *app) initialise(ctx context.Context, set installation.Settings) (madeInstallation, error) {
	inst, err := installation.Init(ctx, installation.Options{Dir: a.dir, Now: a.clock}, set)
	if err != nil {
		return madeInstallation{}, err
	}
	defer inst.Close()
	key, err := inst.VerifierKey()
	if err != nil {
		return madeInstallation{}, err
	}
	code, err := inst.Governor.BootstrapCode(ctx)
	if err != nil {
		return madeInstallation{}, err
	}
	made := madeInstallation{inst.Installation(), a.dir, key, []string{"tenure.yaml", "systems.yaml", "keys"}, code.Reveal()}
	if set.Store == "" {
		made.Files = append(made.Files, "tenure.db")
	}
	return made, nil
}

func printMade(o *page, made madeInstallation) {
	o.fields("installation", string(made.Installation), "folder", made.Dir, "verifier key", made.Key, "first admin's code", made.Bootstrap+" (good once, for 24 hours)")
	for _, f := range made.Files {
		o.line("made %s", filepath.Join(made.Dir, f))
	}
	o.next(
		"write the systems into "+filepath.Join(made.Dir, "systems.yaml")+", then: tenure system add NAME",
		"tenure blueprint submit FILE",
		"tenure serve",
		"let the first admin in: tenure login --server http://127.0.0.1:8420 --code CODE, or on the sign-in page",
	)
}
