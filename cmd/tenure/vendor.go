package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/evidence"
)

func (a *app) vendor() *cobra.Command {
	cmd := &cobra.Command{
		Use: "vendor", Short: "What companies without an interface say that hold data of a leaving tenant",
		Long: "A blueprint names companies that hold data of its tenants and have no interface. In a departure each is told to erase, and\nanswers by a link in the mail. The closing certificate waits for the answers, and lists them as claimed; silence closes nothing.",
	}
	return group(cmd, a.vendorList(), a.vendorAsk(), a.vendorRecord())
}

func (a *app) vendorList() *cobra.Command {
	return command("list OPERATION", "List the companies that a departure asks, and what they said", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		list, err := ask(cmd.Context(), a, client.ListVendors, client.OperationParams{Operation: args[0]})
		if err != nil {
			return err
		}
		return a.show(list.Items, func(o *page) {
			if len(list.Items) == 0 {
				o.line("It asks none.")
				return
			}
			rows := make([][]string, len(list.Items))
			for i, v := range list.Items {
				said := ""
				if v.Answer != "" {
					said = tenure.VendorReply{Answer: v.Answer, Until: v.Until, Reason: v.Reason}.Says() + ", says " + v.Name + " (" + v.Role + ")"
				}
				if v.RecordedBy != "" {
					said += ", as " + v.RecordedBy + " put down"
				}
				rows[i] = []string{v.Step, v.Company, v.Email, v.State, o.when(v.RequestedAt), o.when(v.DueAt), said}
			}
			o.table([]string{"step", "company", "address", "state", "asked", "due", "answer"}, rows)
		})
	})
}

func (a *app) vendorAsk() *cobra.Command {
	var p client.VendorAskParams
	cmd := command("ask OPERATION COMPANY", "Ask a company again, by a new link",
		"The link that was sent before is withdrawn. An answer is withdrawn too, which takes a reason; that can't be done any more\nonce the closing certificate is being made.", cobra.ExactArgs(2), func(cmd *cobra.Command, args []string) error {
			p.Operation, p.Body.Vendor = args[0], args[1]
			return word(a, cmd, args[0], func(ctx context.Context, s *session) (client.GateAnswer, error) {
				return client.AskVendor.Call(ctx, s.Client, p)
			}, false)
		})
	cmd.Flags().StringVar(&p.Body.Email, "email", "", "another address than before")
	cmd.Flags().StringVar(&p.Body.Reason, "reason", "", "why its answer is withdrawn")
	return cmd
}

func (a *app) vendorRecord() *cobra.Command {
	var p client.VendorRecordParams
	var answer, until string
	cmd := command("record OPERATION COMPANY", "Put down a company's answer that came by letter",
		"The certificate says that you put it down. The answer is gone, never-held or kept; kept takes --until and --reason.", cobra.ExactArgs(2), func(cmd *cobra.Command, args []string) error {
			p.Operation, p.Body.Vendor, p.Body.Answer = args[0], args[1], tenure.VendorAnswer(answer)
			if until != "" {
				var err error
				if p.Body.Until, err = parseDate(until); err != nil {
					return err
				}
			}
			return word(a, cmd, args[0], func(ctx context.Context, s *session) (client.GateAnswer, error) {
				return client.RecordVendor.Call(ctx, s.Client, p)
			}, false)
		})
	f := cmd.Flags()
	f.StringVar(&answer, "answer", "", "gone, never-held or kept")
	f.StringVar(&until, "until", "", "until when it is kept: a date, or RFC 3339")
	f.StringVar(&p.Body.Reason, "reason", "", "why it is kept")
	f.StringVar(&p.Body.Name, "name", "", "who answered at the company")
	f.StringVar(&p.Body.Role, "role", "", "their role")
	f.StringVar(&p.Body.Evidence, "evidence", "", "what shows it, such as where the letter is kept")
	f.StringVar(&p.Body.EvidenceSHA256, "sha256", "", "SHA-256 of a file that shows it")
	return cmd
}

// printVendors shows what companies without an interface said.
func printVendors(o *page, d evidence.Departure) {
	if len(d.Vendors) == 0 {
		return
	}
	rows := make([][]string, len(d.Vendors))
	for i, v := range d.Vendors {
		by := strings.TrimSpace(v.By + " " + v.Role)
		if v.Recorded != "" {
			by += ", put down by " + v.Recorded
		}
		rows[i] = []string{v.Company, v.Holds, vendorSaid(v), string(v.Verdict), by, o.when(v.At), short(v.Evidence)}
	}
	o.title("What companies say that held data")
	o.table([]string{"company", "what it held", "its answer", "verdict", "by", "when", "evidence"}, rows)
}

func vendorSaid(v evidence.Vendor) string {
	if v.Until.IsZero() {
		return tenure.VendorReply{Answer: v.Answer}.Says()
	}
	return "it keeps it until " + v.Until.Format(time.DateOnly) + ": " + v.Reason
}
