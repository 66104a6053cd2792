package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
)

const campaignColumns = `id, name, covers, scope, reviewers, silence, state, due_at, created_by, created_at, closed_at, closed_by, digest, by_owner, schedule, occasion, version`

func campaigns(q querier, where string, args ...any) (out []tenure.Campaign, err error) {
	err = q.Rows(`select `+campaignColumns+` from campaign where `+where, args, func(r scanner) error {
		var c tenure.Campaign
		var covers, scope, reviewers string
		var due, created, closed, owner, occasion int64
		if err := r.Scan(&c.ID, &c.Name, &covers, &scope, &reviewers, &c.Silence, &c.State, &due, &c.CreatedBy, &created, &closed, &c.ClosedBy, &c.Evidence, &owner, &c.Schedule, &occasion, &c.Version); err != nil {
			return err
		}
		c.ByOwner, c.Occasion = owner == 1, fromMicros(occasion)
		c.DueAt, c.CreatedAt, c.ClosedAt = fromMicros(due), fromMicros(created), fromMicros(closed)
		for _, f := range []struct {
			text string
			into any
		}{{covers, &c.Covers}, {scope, &c.Scope}, {reviewers, &c.Reviewers}} {
			if err := json.Unmarshal([]byte(f.text), f.into); err != nil {
				return tenure.Errorf(tenure.Internal, "campaign %s: %w", c.ID, err)
			}
		}
		out = append(out, c)
		return nil
	})
	return out, err
}

// Campaigns lists campaigns, the newest first, before one (blank: from the top).
func (db *DB) Campaigns(ctx context.Context, before tenure.CampaignID, limit int) ([]tenure.Campaign, error) {
	return campaigns(db.reader(ctx), `($1 = '' or id < $1) order by id desc limit $2`, string(before), limit)
}

// Campaign returns one campaign.
func (db *DB) Campaign(ctx context.Context, id tenure.CampaignID) (tenure.Campaign, error) {
	return firstOf(campaigns(db.reader(ctx), `id = $1`, string(id)))
}

// Campaign returns one campaign as the transaction sees it.
func (tx *Tx) Campaign(id tenure.CampaignID) (tenure.Campaign, error) {
	return firstOf(campaigns(tx, `id = $1`, string(id)))
}

// UnfinishedCampaigns lists campaigns that carry something out, or are open and
// due.
func (db *DB) UnfinishedCampaigns(ctx context.Context, due time.Time) ([]tenure.Campaign, error) {
	return campaigns(db.reader(ctx), `state = 'carrying_out' or state = 'open' and due_at <= $1 order by id limit 100`, micros(due))
}

// SaveCampaign stores a new campaign with its items.
func (tx *Tx) SaveCampaign(c tenure.Campaign, items []ReviewItem) error {
	_, err := tx.Exec(`insert into campaign (id, name, covers, scope, reviewers, silence, state, due_at, created_by, created_at, closed_at, closed_by, digest, evidence, by_owner, schedule, occasion, version)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '', '', '', $11, $12, $13, 1)`,
		string(c.ID), c.Name, text(c.Covers), text(c.Scope), text(c.Reviewers), string(c.Silence), string(tenure.CampaignOpen), micros(c.DueAt), c.CreatedBy, micros(c.CreatedAt), flag(c.ByOwner), c.Schedule, micros(c.Occasion))
	for i := range items {
		it := &items[i]
		if err == nil {
			_, err = tx.Exec(`insert into review_item (campaign, seq, kind, subject, tenant, holder, owner, detail, salt, reviewer, decision, change_to, reason, decided_by, decided_at, operation, outcome, last_used_at)
				values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', '', '', '', 0, '', '', $11)`,
				string(c.ID), it.Seq, string(it.Kind), it.Subject, string(it.Tenant), it.Holder, it.Owner, it.Detail, it.Salt, it.Reviewer, micros(it.LastUsed))
		}
	}
	return err
}

// MoveCampaign takes a campaign from one state to the next; Conflict if it isn't
// in it any more.
func (tx *Tx) MoveCampaign(id tenure.CampaignID, from, to tenure.CampaignState, by string, at time.Time) error {
	n, err := tx.Exec(`update campaign set state = $1, closed_by = $2, closed_at = $3, version = version + 1 where id = $4 and state = $5`, string(to), by, micros(at), string(id), string(from))
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "campaign %s isn't %s any more", id, from)
	}
	return err
}

// SealCampaign closes a campaign with its evidence; Conflict if it was sealed
// before.
func (tx *Tx) SealCampaign(id tenure.CampaignID, evidence []byte, digest string) error {
	n, err := tx.Exec(`update campaign set state = 'closed', evidence = $1, digest = $2, version = version + 1 where id = $3 and state = 'carrying_out'`, string(evidence), digest, string(id))
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "campaign %s is closed already", id)
	}
	return err
}

// Evidence is the document of a closed campaign, as its digest is of.
func (db *DB) Evidence(ctx context.Context, id tenure.CampaignID) ([]byte, error) {
	var doc string
	err := db.reader(ctx).Row(`select evidence from campaign where id = $1`, []any{string(id)}, &doc)
	if err == nil && doc == "" {
		err = tenure.Errorf(tenure.Conflict, "campaign %s isn't closed yet: its evidence comes with its end", id)
	}
	return []byte(doc), err
}

// ReviewItem is an item's row. Salt keeps the digest of its text, which stays in
// the evidence, from being guessed once the text is forgotten.
type ReviewItem struct {
	tenure.ReviewItem
	Salt  string
	Giver string // who gave it, while a campaign is being started
}

const itemColumns = `campaign, seq, kind, subject, tenant, holder, owner, detail, salt, reviewer, decision, change_to, reason, decided_by, decided_at, operation, outcome, last_used_at, assigned_by, assigned_why`

func reviewItems(q querier, where string, args ...any) (out []ReviewItem, err error) {
	err = q.Rows(`select `+itemColumns+` from review_item where `+where, args, func(r scanner) error {
		var o ReviewItem
		var to string
		var decided, used int64
		if err := r.Scan(&o.Campaign, &o.Seq, &o.Kind, &o.Subject, &o.Tenant, &o.Holder, &o.Owner, &o.Detail, &o.Salt, &o.Reviewer, &o.Decision, &to, &o.Reason, &o.DecidedBy, &decided, &o.Operation, &o.Outcome, &used, &o.Assigned, &o.AssignWhy); err != nil {
			return err
		}
		o.DecidedAt, o.LastUsed = fromMicros(decided), fromMicros(used)
		if to != "" {
			o.ChangeTo = new(tenure.ReviewTo)
			if err := json.Unmarshal([]byte(to), o.ChangeTo); err != nil {
				return tenure.Errorf(tenure.Internal, "item %d of campaign %s: %w", o.Seq, o.Campaign, err)
			}
		}
		out = append(out, o)
		return nil
	})
	return out, err
}

// ItemFilter narrows a campaign's items.
type ItemFilter struct {
	Campaign tenure.CampaignID
	Reviewer string // "" for every reviewer's
	Open     bool   // unanswered ones alone
	After    int    // the last seq of the page before
	Limit    int
	Visible  Visible  // of tenants
	Grants   bool     // items of no tenant too
	Own      string   // a reviewer whose own items are shown whatever else they may see
	OwnIn    *Visible // what of these they may still see; nil: all, those of no tenant too
}

func (f ItemFilter) where(args *[]any) string {
	*args = append(*args, string(f.Campaign), f.Reviewer, flag(f.Open), f.After, f.Own, flag(f.Grants))
	own := ""
	if f.OwnIn != nil {
		own = " and " + f.OwnIn.where("review_item.tenant", args)
	}
	return `campaign = $1 and ($2 = '' or reviewer = $2) and ($3 = 0 or decision = '') and seq > $4 and ($5 <> '' and reviewer = $5` + own + ` or $6 = 1 and tenant = '' or ` + f.Visible.where("review_item.tenant", args) + `)`
}

// ReviewItems lists a campaign's items in order.
func (db *DB) ReviewItems(ctx context.Context, f ItemFilter) ([]ReviewItem, error) {
	var args []any
	where := f.where(&args)
	args = append(args, f.Limit)
	return reviewItems(db.reader(ctx), where+` order by seq limit `+placeholder(len(args)), args...)
}

// AccessResources lists what gives access to tenants: what stands, or is thought
// to, in the layers that are cut when access is cut.
func (db *DB) AccessResources(ctx context.Context, v Visible, limit int) ([]ResourceRow, error) {
	args := []any{int(tenure.LayerKey), int(tenure.LayerIntegration), limit}
	return resources(db.reader(ctx), `layer between $1 and $2 and state in ('present', 'suspended', 'unknown') and `+v.where("resource.tenant", &args)+` order by tenant, environment, key limit $3`, args...)
}

// ReviewItems lists all of a campaign's items as the transaction sees them.
func (tx *Tx) ReviewItems(id tenure.CampaignID) ([]ReviewItem, error) {
	return reviewItems(tx, `campaign = $1 order by seq`, string(id))
}

// PendingItems lists answered items that nothing carries out yet.
func (db *DB) PendingItems(ctx context.Context) ([]ReviewItem, error) {
	return reviewItems(db.reader(ctx), `decision <> '' and outcome = '' and operation = '' order by campaign, seq limit 5000`)
}

// CarriedItems lists items whose operation has ended since it was begun.
func (db *DB) CarriedItems(ctx context.Context) ([]ReviewItem, error) {
	return reviewItems(db.reader(ctx), `decision <> '' and outcome = '' and operation <> ''
		and exists (select 1 from operation o where o.id = review_item.operation and o.state in `+endedStates+`) order by campaign, seq limit 5000`)
}

// AnswerItem writes a decision, and its outcome if that is known. An item that
// was answered before is Conflict.
func (tx *Tx) AnswerItem(o tenure.ReviewItem) error {
	to := ""
	if o.ChangeTo != nil {
		to = text(o.ChangeTo)
	}
	n, err := tx.Exec(`update review_item set decision = $1, change_to = $2, reason = $3, decided_by = $4, decided_at = $5, outcome = $6 where campaign = $7 and seq = $8 and decision = ''`,
		string(o.Decision), to, o.Reason, o.DecidedBy, micros(o.DecidedAt), o.Outcome, string(o.Campaign), o.Seq)
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "item %d is answered already", o.Seq)
	}
	return err
}

// CarryItem notes the operation that carries a decision out, and what came of it.
func (tx *Tx) CarryItem(campaign tenure.CampaignID, seq int, op tenure.OperationID, outcome string) error {
	_, err := tx.Exec(`update review_item set operation = $1, outcome = $2 where campaign = $3 and seq = $4 and decision <> '' and outcome = ''`, string(op), outcome, string(campaign), seq)
	return err
}

// AssignItem gives an item that waits for an answer to another reviewer.
func (tx *Tx) AssignItem(o tenure.ReviewItem) error {
	n, err := tx.Exec(`update review_item set reviewer = $1, assigned_by = $2, assigned_why = $3 where campaign = $4 and seq = $5 and decision = ''`, o.Reviewer, o.Assigned, o.AssignWhy, string(o.Campaign), o.Seq)
	if err == nil && n != 1 {
		err = tenure.Errorf(tenure.Conflict, "item %d is answered already", o.Seq)
	}
	return err
}

// SetReviewers notes who reviews items of a campaign.
func (tx *Tx) SetReviewers(id tenure.CampaignID, names []string) error {
	_, err := tx.Exec(`update campaign set reviewers = $1, version = version + 1 where id = $2`, text(names), string(id))
	return err
}

// Opened says whether a schedule has opened a campaign for one of its dates.
func (db *DB) Opened(ctx context.Context, schedule string, occasion time.Time) (bool, error) {
	return opened(db.reader(ctx), schedule, occasion)
}

// Opened says it as the transaction sees it.
func (tx *Tx) Opened(schedule string, occasion time.Time) (bool, error) {
	return opened(tx, schedule, occasion)
}

func opened(q querier, schedule string, occasion time.Time) (bool, error) {
	n := 0
	err := q.Row(`select count(*) from campaign where schedule = $1 and occasion = $2`, []any{schedule, micros(occasion)}, &n)
	return n > 0, err
}

// LastDelegated is when a delegate last approved in the place of a delegator.
func (db *DB) LastDelegated(ctx context.Context, d tenure.Delegation) (time.Time, error) {
	return db.latest(ctx, `select coalesce(max(at), 0) from approval where approver = $1 and on_behalf = $2 and at >= $3`, d.To, d.From, micros(d.StartsAt))
}

// LastStanding is when a standing approval last started something.
func (db *DB) LastStanding(ctx context.Context, id tenure.StandingID) (time.Time, error) {
	return db.latest(ctx, `select coalesce(max(at), 0) from standing_start where standing = $1`, string(id))
}

// LastUsedSystem is when Tenure last changed a thing in a system.
func (db *DB) LastUsedSystem(ctx context.Context, name string) (time.Time, error) {
	return db.latest(ctx, `select coalesce(max(updated_at), 0) from resource where system = $1`, name)
}

func (db *DB) latest(ctx context.Context, query string, args ...any) (time.Time, error) {
	var at int64
	err := db.reader(ctx).Row(query, args, &at)
	return fromMicros(at), err
}

// ReviewCounts is how many items of a campaign there are by decision; "" for
// those that wait for an answer.
func (db *DB) ReviewCounts(ctx context.Context, f ItemFilter) (map[tenure.ReviewDecision]int, error) {
	out := make(map[tenure.ReviewDecision]int)
	var args []any
	where := f.where(&args)
	err := db.reader(ctx).Rows(`select decision, count(*) from review_item where `+where+` group by decision`, args, func(r scanner) error {
		var d tenure.ReviewDecision
		var n int
		err := r.Scan(&d, &n)
		out[d] = n
		return err
	})
	return out, err
}
