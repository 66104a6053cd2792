package client

import (
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
)

// Campaign is an access review with how far it is: of the items that the caller
// may see.
type Campaign struct {
	tenure.Campaign
	Items    int `json:"items"`
	Open     int `json:"open"` // not answered yet
	Kept     int `json:"kept"`
	Revoked  int `json:"revoked"`
	Narrowed int `json:"narrowed"` // answered with change
}

// CampaignFilter pages through the campaigns.
type CampaignFilter struct {
	Paging
}

// NewCampaignParams start an access review.
type NewCampaignParams struct {
	Body NewCampaign
}

// NewCampaign is an access review that is to be started.
type NewCampaign struct {
	Name      string                `json:"name" doc:"200 bytes at most" maxLength:"200"`
	Covers    []tenure.ReviewKind   `json:"covers" doc:"grant, account, agreement, export, token, delegation, standing, breakglass, credential" minItems:"1" maxItems:"9"`
	Scope     tenure.Scope          `json:"scope" doc:"over which tenants; only grants whose scope lies within it count"`
	Reviewers []string              `json:"reviewers" doc:"persons by name; nobody gets items that concern them" minItems:"1" maxItems:"50"`
	ByOwner   bool                  `json:"byOwner,omitempty" doc:"items go first to their owner: the person whom the tenant's label owner names, or who gave the access; an item without an owner, or whose owner may not review it, goes to the reviewers"`
	Silence   tenure.ReviewDecision `json:"silence" enum:"keep,revoke" doc:"what becomes of an item that nobody answers by the due date"`
	DueAt     time.Time             `json:"dueAt" doc:"at most a year away"`
}

// CampaignID names a campaign.
type CampaignID struct {
	Campaign string `path:"campaign" doc:"a campaign's id, cmp_…" maxLength:"64"`
}

// ReviewItemFilter narrows a campaign's items.
type ReviewItemFilter struct {
	CampaignID
	Paging
	Reviewer string `query:"reviewer" doc:"only this reviewer's, by id or name" maxLength:"100"`
	Open     bool   `query:"open" doc:"only those that aren't answered"`
}

// ReviewAnswer is the answer to one item.
type ReviewAnswer struct {
	Item     int                   `json:"item" minimum:"1"`
	Decision tenure.ReviewDecision `json:"decision" enum:"keep,revoke,change"`
	ChangeTo *tenure.ReviewTo      `json:"changeTo,omitempty" doc:"of change: a narrower role, scope or end of a grant; fewer classes or an earlier end of an agreement; parameters of an account's tenant"`
	Reason   string                `json:"reason,omitempty" doc:"needed for revoke and change" maxLength:"1000"`
}

// DecideParams are a reviewer's answers: all of them are taken, or none.
type DecideParams struct {
	CampaignID
	Body struct {
		Answers []ReviewAnswer `json:"answers" minItems:"1" maxItems:"500"`
	}
}

// ReassignParams give items to another reviewer: all of them, or none.
type ReassignParams struct {
	CampaignID
	Body struct {
		Items  []int  `json:"items" minItems:"1" maxItems:"500"`
		To     string `json:"to" doc:"a person by name, whom the items don't concern" maxLength:"100"`
		Reason string `json:"reason" maxLength:"1000"`
	}
}

// ReviewEvidence is a closed campaign's evidence. The canonical JSON of the document
// has the digest that the audit log holds; each item's text there is the digest
// of the canonical JSON of its words here, which go when their tenant is forgotten.
type ReviewEvidence struct {
	Document json.RawMessage            `json:"document"`
	Digest   string                     `json:"digest"`
	Texts    map[string]json.RawMessage `json:"texts"` // by the item's number
}

var (
	// ListCampaigns lists access reviews, the newest first.
	ListCampaigns = Endpoint[CampaignFilter, Page[Campaign]]{Name: "review.list", Verb: "GET", Path: "/v1/reviews", Summary: "List access reviews: those over what one may read, and those that one is a reviewer in"}
	// StartCampaign starts an access review.
	StartCampaign = Endpoint[NewCampaignParams, Campaign]{Name: "review.start", Verb: "POST", Path: "/v1/reviews", Summary: "Start an access review", Example: `{"name": "spring", "covers": ["grant", "account"], "scope": {"all": true}, "reviewers": ["rita", "carl"], "silence": "revoke", "dueAt": "2099-01-01T00:00:00Z"}`}
	// ShowCampaign shows an access review.
	ShowCampaign = Endpoint[CampaignID, Campaign]{Name: "review.show", Verb: "GET", Path: "/v1/reviews/{campaign}", Summary: "Show an access review"}
	// ListReviewItems lists what an access review asks about.
	ListReviewItems = Endpoint[ReviewItemFilter, Page[tenure.ReviewItem]]{Name: "review.items", Verb: "GET", Path: "/v1/reviews/{campaign}/items", Summary: "List what an access review asks about; a reviewer sees their own items"}
	// DecideReview answers items.
	DecideReview = Endpoint[DecideParams, Page[tenure.ReviewItem]]{Name: "review.decide", Verb: "POST", Path: "/v1/reviews/{campaign}/decide", Summary: "Answer items that one is the reviewer of; all of the answers are taken, or none", Example: `{"answers": [{"item": 1, "decision": "keep"}, {"item": 2, "decision": "revoke", "reason": "left the team"}]}`}
	// ReassignReview gives items to another reviewer.
	ReassignReview = Endpoint[ReassignParams, Page[tenure.ReviewItem]]{Name: "review.reassign", Verb: "POST", Path: "/v1/reviews/{campaign}/reassign", Summary: "Hand unanswered items to another reviewer, whom they don't concern, with a reason", Example: `{"items": [3], "to": "carl", "reason": "rita is on leave"}`}
	// CloseCampaign closes a review whose items are all answered.
	CloseCampaign = Endpoint[CampaignID, Campaign]{Name: "review.close", Verb: "POST", Path: "/v1/reviews/{campaign}/close", Summary: "Close an access review whose items are all answered"}
	// ShowEvidence gives a closed review's evidence.
	ShowEvidence = Endpoint[CampaignID, ReviewEvidence]{Name: "review.evidence", Verb: "GET", Path: "/v1/reviews/{campaign}/evidence", Summary: "Give a closed review's evidence, whose SHA-256 is in the audit log"}
)
