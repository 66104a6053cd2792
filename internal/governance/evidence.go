package governance

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// evidenceDocument is what a campaign's digest is of. It outlives what is
// forgotten of a tenant: an item's words stand beside it, under their digest.
type evidenceDocument struct {
	Format   int             `json:"format"`
	Campaign tenure.Campaign `json:"campaign"`
	SealedAt time.Time       `json:"sealedAt"`
	Items    []evidenceItem  `json:"items"`
}

type evidenceItem struct {
	Seq       int                   `json:"seq"`
	Kind      tenure.ReviewKind     `json:"kind"`
	Subject   string                `json:"subject"`
	Tenant    tenure.TenantID       `json:"tenant,omitempty"`
	Reviewer  string                `json:"reviewer"`
	Assigned  string                `json:"assignedBy,omitempty"` // who gave it to that reviewer; "": the campaign's start
	LastUsed  time.Time             `json:"lastUsedAt,omitzero"`
	Decision  tenure.ReviewDecision `json:"decision"`
	DecidedBy string                `json:"decidedBy,omitempty"` // "": nobody, by the campaign's rule
	DecidedAt time.Time             `json:"decidedAt"`
	Operation tenure.OperationID    `json:"operation,omitempty"`
	Outcome   string                `json:"outcome"`
	Text      string                `json:"text"` // digest of EvidenceText
}

// EvidenceText are an item's words. Its canonical JSON has the digest that the
// document names, until the tenant is forgotten and the words with it.
type EvidenceText struct {
	Salt     string           `json:"salt"`
	Holder   string           `json:"holder,omitempty"`
	Owner    string           `json:"owner,omitempty"`
	Detail   string           `json:"detail"`
	Assigned string           `json:"assignedWhy,omitempty"`
	Reason   string           `json:"reason,omitempty"`
	ChangeTo *tenure.ReviewTo `json:"changeTo,omitempty"`
}

func textOf(r store.ReviewItem) EvidenceText {
	return EvidenceText{Salt: r.Salt, Holder: r.Holder, Owner: r.Owner, Detail: r.Detail, Assigned: r.AssignWhy, Reason: r.Reason, ChangeTo: r.ChangeTo}
}

// seal closes a campaign once nothing is left to carry out. The SHA-256 of its
// evidence goes into the audit log in the same transaction.
func (g *Governor) seal(ctx context.Context, id tenure.CampaignID) error {
	return g.o.DB.Write(ctx, func(tx *store.Tx) error {
		cp, err := tx.Campaign(id)
		if err != nil || cp.State != tenure.CampaignCarrying {
			return err
		}
		rows, err := tx.ReviewItems(id)
		if err != nil {
			return err
		}
		cp.State, cp.Version = tenure.CampaignClosed, cp.Version+1
		doc := evidenceDocument{Format: 1, Campaign: cp, SealedAt: g.Now()}
		sums := make(map[tenure.ReviewDecision]int)
		silent := 0
		for _, r := range rows {
			if r.Outcome == "" {
				return nil // an operation is under way
			}
			words, err := tenure.Canonical(textOf(r))
			if err != nil {
				return err
			}
			sums[r.Decision]++
			if r.DecidedBy == "" {
				silent++
			}
			doc.Items = append(doc.Items, evidenceItem{
				Seq: r.Seq, Kind: r.Kind, Subject: r.Subject, Tenant: r.Tenant, Reviewer: r.Reviewer, Assigned: r.Assigned, LastUsed: r.LastUsed, Decision: r.Decision, DecidedBy: r.DecidedBy,
				DecidedAt: r.DecidedAt, Operation: r.Operation, Outcome: r.Outcome, Text: tenure.Digest(words),
			})
		}
		body, err := tenure.Canonical(doc)
		if err != nil {
			return err
		}
		digest := tenure.Digest(body)
		if err := tx.SealCampaign(id, body, digest); err != nil {
			return err
		}
		e, err := g.o.Entry(ctx, "campaign.close", cp.ClosedBy, "", "", string(id), map[string]string{
			"evidence": digest, "items": strconv.Itoa(len(rows)), "silent": strconv.Itoa(silent),
			"kept": strconv.Itoa(sums[tenure.ReviewKeep]), "revoked": strconv.Itoa(sums[tenure.ReviewRevoke]), "changed": strconv.Itoa(sums[tenure.ReviewChange]),
		})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// Evidence is a closed campaign's document, whose canonical JSON has the digest
// in the audit log, and beside it the items' words by their number.
type Evidence struct {
	Document json.RawMessage
	Digest   string
	Texts    map[string]EvidenceText
}

// Evidence returns a closed campaign's evidence to who may see it whole.
func (g *Governor) Evidence(ctx context.Context, c tenure.Caller, id tenure.CampaignID) (Evidence, error) {
	cp, f, err := g.Campaign(ctx, c, id)
	if err != nil {
		return Evidence{}, err
	}
	if whole, _ := seesCampaign(c, cp); !whole {
		return Evidence{}, tenure.Errorf(tenure.Forbidden, "%s may not read reviews over %s", c.Name, cp.Scope)
	}
	doc, err := g.o.DB.Evidence(ctx, id)
	if err != nil {
		return Evidence{}, err
	}
	f.Limit = MaxReviewItems
	rows, err := g.o.DB.ReviewItems(ctx, f)
	out := Evidence{Document: doc, Digest: cp.Evidence, Texts: make(map[string]EvidenceText, len(rows))}
	for _, r := range rows {
		if r.Salt != "" { // forgotten with its tenant
			out.Texts[strconv.Itoa(r.Seq)] = textOf(r)
		}
	}
	return out, err
}
