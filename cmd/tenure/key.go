package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/server"
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
	var p server.NameParams
	cmd := command("list", "List keys with the copies that are known", "Without --tenant those that are no tenant's.", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := ask(cmd.Context(), a, server.ListKeys, p)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is no such key.")
				return
			}
			rows := make([][]string, len(list))
			for i, k := range list {
				rows[i] = []string{string(k.Key), string(k.Spec.Purpose), k.Spec.Class, string(k.State), copyWords(o, k.Copies), strings.Join(k.Overdue, ", ")}
			}
			o.table([]string{"key", "purpose", "class", "state", "copies", "overdue"}, rows)
		})
	})
	cmd.Flags().StringVar(&p.Tenant, "tenant", "", "those of this tenant")
	return cmd
}

func copyWords(o *page, copies []keystore.Copy) string {
	var out []string
	for _, c := range copies {
		switch {
		case c.Own:
			out = append(out, "the keystore")
		case c.Expires.IsZero():
			out = append(out, c.Location+", nobody knows until when")
		default:
			out = append(out, c.Location+" until "+o.when(c.Expires))
		}
	}
	return strings.Join(out, "; ")
}

func (a *app) keyCopy() *cobra.Command {
	var p server.KeyCopyParams
	var expires string
	cmd := command("copy KEY --where PLACE", "Note that a backup elsewhere holds a key", "Without --expires nobody knows until when it is there.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Key = keystore.KeyID(args[0])
		if expires != "" {
			at, err := a.parseUntil(expires)
			if err != nil {
				return err
			}
			p.Expires = at
		}
		return a.keyWord(cmd, server.AddKeyCopy, p, "noted: a copy of %s is at %s")
	})
	cmd.Flags().StringVar(&p.Where, "where", "", "the place of the copy")
	cmd.Flags().StringVar(&expires, "expires", "", "when it expires: a date, or a period from now such as P30D")
	return cmd
}

func (a *app) keyGone() *cobra.Command {
	var p server.KeyCopyParams
	cmd := command("gone KEY --where PLACE", "Note that a copy of a key was seen to be gone", "That it should have expired isn't enough.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Key = keystore.KeyID(args[0])
		return a.keyWord(cmd, server.DropKeyCopy, p, "noted: the copy of %s at %s is gone")
	})
	cmd.Flags().StringVar(&p.Where, "where", "", "the place of the copy")
	return cmd
}

// keyWord records a person's word about a copy.
func (a *app) keyWord(cmd *cobra.Command, m server.Method[server.KeyCopyParams, server.None], p server.KeyCopyParams, says string) error {
	p.Expires = p.Expires.Truncate(time.Microsecond)
	if _, err := ask(cmd.Context(), a, m, p); err != nil {
		return err
	}
	return a.show(p, func(o *page) { o.line(says, p.Key, p.Where) })
}
