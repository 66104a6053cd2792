package dashboard

import (
	"io"
	"time"

	"github.com/tenurehq/tenure"
)

// ReviewsView is the list of access review campaigns.
type ReviewsView struct {
	Rows  []CampaignRow
	Pager Pager
	Start *Action // nil for who may not
}

// CampaignRow is a campaign in a list.
type CampaignRow struct {
	ID           tenure.CampaignID
	Title        string
	Scope        string
	State        string // "open", "overdue", "closed"
	Due          time.Time
	Items        int
	Kept         int
	Revoked      int
	Changed      int
	Mine         int    // that wait for the person who looks
	Unanswered   string // the campaign's rule: "revoke", "keep", "escalate"
	StartedBy    string
	Started      time.Time
	EvidenceHref string
}

// Open is how many wait for an answer.
func (r CampaignRow) Open() int { return r.Items - r.Kept - r.Revoked - r.Changed }

// Parts are the answers as parts of a bar.
func (r CampaignRow) Parts() []Count {
	return []Count{{Label: "kept", N: r.Kept, Tone: ToneOK}, {Label: "changed", N: r.Changed, Tone: ToneWarn}, {Label: "revoked", N: r.Revoked, Tone: ToneBad}, {Label: "open", N: r.Open(), Tone: ToneIdle}}
}

// ReviewView is one campaign with its items.
type ReviewView struct {
	CampaignRow
	Filters Filters
	Rows    []ReviewItem
	Pager   Pager
	// Decide is the path that takes the answers by POST: "item" for each item that
	// is ticked, "decision" (keep, revoke or change), "role" for a change, and
	// "note". "" for who may not decide.
	Decide  string
	Roles   []Option // what a change may change to
	Actions []Action // close, remind
}

// ReviewItem is one right that somebody must answer for.
type ReviewItem struct {
	ID        string // the form's value
	Subject   string // who has it
	Kind      string // "grant", "account", "token", "app connector", "export grant", "agreement"
	What      string // "operator over tier gold"
	Tenant    Ref
	Since     time.Time
	LastUsed  time.Time
	Reviewer  string
	Mine      bool
	Decision  string // "", "keep", "revoke", "change"
	By        string
	At        time.Time
	Note      string
	Flags     []string // what to look at: "never used", "conflicts with approver"
	Operation Ref      // the operation that carries a revocation out
}

// Reviews renders the list of campaigns.
func (p *Pages) Reviews(w io.Writer, frame Frame, v ReviewsView) error {
	return p.render(w, "reviews", framed, frame, v)
}

// Review renders one campaign.
func (p *Pages) Review(w io.Writer, frame Frame, v ReviewView) error {
	return p.render(w, "review", framed, frame, v)
}
