package main

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) move() *cobra.Command {
	return group(&cobra.Command{
		Use:   "move",
		Short: "Change somebody's roles when their job changes",
		Long: "A move says which roles end and begin, which tenants it touches, and which roles conflict. It is named by its digest,\n" +
			"and a second person whom it doesn't concern signs that; then all of it happens at once.",
	}, a.movePlan(), a.moveList(), a.moveShow(),
		a.moveDecide("approve", "Sign a move, which carries it out", client.ApproveMove),
		a.moveDecide("reject", "Turn a move down, or withdraw your own", client.RejectMove))
}

func (a *app) movePlan() *cobra.Command {
	var p client.NewMoveParams
	var to []string
	cmd := command("plan PRINCIPAL --to ROLE@SCOPE", "Plan a change of somebody's roles", "Name every role that they will have, including those that they keep; without any they have none.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Body.Principal = args[0]
		for _, text := range to {
			r, err := moveRole(text)
			if err != nil {
				return err
			}
			p.Body.To = append(p.Body.To, r)
		}
		m, err := ask(cmd.Context(), a, client.PlanMove, p)
		if err != nil {
			return err
		}
		return a.show(m, func(o *page) {
			printMove(o, m)
			if !p.Body.DryRun {
				o.next("a second person: tenure move approve " + m.Digest + " --as SOMEBODY-ELSE")
			}
		})
	})
	f := cmd.Flags()
	f.StringArrayVar(&to, "to", nil, "a role that they shall have: viewer@all, operator@tier=team, operator@label=region=eu, or operator@ten_… (may be repeated)")
	f.StringVar(&p.Body.Reason, "reason", "", "why")
	f.BoolVar(&p.Body.DryRun, "dry-run", false, "say what would happen, and store nothing")
	return cmd
}

// moveRole reads ROLE@SCOPE, where the scope is all, or tiers, labels and tenants
// with commas between them; or a JSON object.
func moveRole(text string) (tenure.MoveRole, error) {
	bad := tenure.Errorf(tenure.Invalid, "--to %q is not ROLE@SCOPE", clip(text, 80)).WithHint("viewer@all, operator@tier=team,tier=free, operator@label=region=eu")
	if strings.HasPrefix(text, "{") {
		var r tenure.MoveRole
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return r, bad
		}
		return r, nil
	}
	role, scope, ok := strings.Cut(text, "@")
	r := tenure.MoveRole{Role: tenure.Role(role)}
	for part := range strings.SplitSeq(scope, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch {
		case part == "all":
			r.Scope.All = true
		case key == "tier":
			r.Scope.Tiers = append(r.Scope.Tiers, value)
		case key == "label":
			r.Scope.Labels = append(r.Scope.Labels, value)
		case strings.HasPrefix(part, "ten_"):
			r.Scope.Tenants = append(r.Scope.Tenants, tenure.TenantID(part))
		default:
			ok = false
		}
	}
	if !ok || role == "" {
		return r, bad
	}
	return r, nil
}

func (a *app) moveList() *cobra.Command {
	var f client.MoveFilter
	cmd := command("list", "List changes of roles, the newest first", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListMoves, f, 0)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is no such move.")
				return
			}
			rows := make([][]string, len(list))
			for i, m := range list {
				rows[i] = []string{m.Digest, m.Name, m.State, m.Reason, m.By, o.when(m.At), m.DecidedBy}
			}
			o.table([]string{"digest", "who", "state", "reason", "asked by", "asked", "decided by"}, rows)
		})
	})
	cmd.Flags().BoolVar(&f.Waiting, "waiting", false, "only those that wait for their signature")
	return cmd
}

func (a *app) moveShow() *cobra.Command {
	return command("show DIGEST", "Show a change of roles with the tenants that it touches", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		m, err := ask(cmd.Context(), a, client.ShowMove, client.MoveID{Move: args[0]})
		if err != nil {
			return err
		}
		return a.show(m, func(o *page) { printMove(o, m) })
	})
}

func (a *app) moveDecide(word, short string, e client.Endpoint[client.DecideMoveParams, client.Move]) *cobra.Command {
	var p client.DecideMoveParams
	cmd := command(word+" DIGEST", short, "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Move = args[0]
		m, err := ask(cmd.Context(), a, e, p)
		if err != nil {
			return err
		}
		return a.show(m, func(o *page) { printMove(o, m) })
	})
	cmd.Flags().StringVar(&p.Body.Note, "note", "", "a comment")
	return cmd
}

func printMove(o *page, m client.Move) {
	o.fields("move", m.Digest, "who", m.Name, "state", m.State, "reason", m.Reason, "asked", o.when(m.At)+" by "+m.By, "decided by", m.DecidedBy, "note", m.Note)
	var rows [][]string
	for _, g := range m.Ends {
		rows = append(rows, []string{"ends", string(g.Role), g.Scope.String()})
	}
	for _, g := range m.Keeps {
		rows = append(rows, []string{"stays", string(g.Role), g.Scope.String()})
	}
	for _, g := range m.Begins {
		rows = append(rows, []string{"begins", string(g.Role), g.Scope.String()})
	}
	o.line("")
	o.table([]string{"", "role", "over"}, rows)
	if len(m.Tenants) == 0 {
		return
	}
	names := make([]string, len(m.Tenants))
	for i, t := range m.Tenants {
		names[i] = t.Name
	}
	if m.More {
		names = append(names, "and more")
	}
	o.line("")
	o.fields("touches", strings.Join(names, ", "))
}
