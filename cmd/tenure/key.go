package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/client"
)

func (a *app) key() *cobra.Command {
	return group(&cobra.Command{
		Use:   "key",
		Short: "See which keys there are, and where copies of them are",
		Long: "A key's erasure is verified when its last copy was seen to be gone. Whoever backs the keystore up notes each copy;\n" +
			"keys themselves are never shown.",
	}, a.keyList(), a.keyCopy(), a.keyGone())
}

func (a *app) keyList() *cobra.Command {
	var p client.TenantParams
	cmd := command("list", "List keys with their known copies", "Without --tenant it lists the keys that belong to no tenant.", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		keys, err := a.keys(cmd, p)
		if err != nil {
			return err
		}
		list := keys.Items
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is no such key.")
				return
			}
			rows := make([][]string, len(list))
			for i, k := range list {
				rows[i] = []string{k.ID, k.Spec.Purpose, k.Spec.Class, k.State, copyWords(o, k.Copies), strings.Join(k.Overdue, ", ")}
			}
			o.table([]string{"key", "purpose", "class", "state", "copies", "overdue"}, rows)
		})
	})
	cmd.Flags().StringVar(&p.Tenant, "tenant", "", "those of this tenant")
	return cmd
}

func copyWords(o *page, copies []client.KeyCopy) string {
	var out []string
	for _, c := range copies {
		switch {
		case c.Own:
			out = append(out, "the keystore")
		case c.ExpiresAt.IsZero():
			out = append(out, c.Location+", nobody knows until when")
		default:
			out = append(out, c.Location+" until "+o.when(c.ExpiresAt))
		}
	}
	return strings.Join(out, "; ")
}

func (a *app) keyCopy() *cobra.Command {
	var p client.KeyCopyParams
	var expires string
	cmd := command("copy KEY --where PLACE", "Note that a backup elsewhere holds a key", "Without --expires it isn't known how long the copy stays.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Key = args[0]
		if expires != "" {
			at, err := a.parseUntil(expires)
			if err != nil {
				return err
			}
			p.Body.ExpiresAt = at.Truncate(time.Microsecond)
		}
		if _, err := ask(cmd.Context(), a, client.AddKeyCopy, p); err != nil {
			return err
		}
		return a.show(notedCopy{p.Key, p.Body.Location, p.Body.ExpiresAt}, func(o *page) { o.line("noted: a copy of %s is at %s", p.Key, p.Body.Location) })
	})
	cmd.Flags().StringVar(&p.Body.Location, "where", "", "the place of the copy")
	cmd.Flags().StringVar(&expires, "expires", "", "when it expires: a date, or a period from now such as P30D")
	return cmd
}

func (a *app) keyGone() *cobra.Command {
	var p client.KeyGoneParams
	cmd := command("gone KEY --where PLACE", "Note that a copy of a key was seen to be gone", "That it should have expired isn't enough.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Key = args[0]
		if _, err := ask(cmd.Context(), a, client.DropKeyCopy, p); err != nil {
			return err
		}
		return a.show(notedCopy{Key: p.Key, Where: p.Body.Location}, func(o *page) { o.line("noted: the copy of %s at %s is gone", p.Key, p.Body.Location) })
	})
	cmd.Flags().StringVar(&p.Body.Location, "where", "", "the place of the copy")
	return cmd
}

// notedCopy is what a word about a copy says that it noted.
type notedCopy struct {
	Key     string    `json:"key"`
	Where   string    `json:"where"`
	Expires time.Time `json:"expires,omitzero"`
}

func (a *app) keys(cmd *cobra.Command, p client.TenantParams) (client.Page[client.KeyStatus], error) {
	if p.Tenant == "" {
		return ask(cmd.Context(), a, client.ListKeys, client.None{})
	}
	return ask(cmd.Context(), a, client.ListTenantKeys, p)
}
