-- +goose Up

-- approval_wait.escalated_to (sensitive: it may name persons): whom the escalation went to, blank for nobody; escalated_why: why to them, or why to nobody.
alter table approval_wait add column escalated_to text not null default '';
alter table approval_wait add column escalated_why text not null default '';

-- campaign.by_owner (public): items go to their owner first. schedule and occasion (public): which schedule of the settings opened it, and for which of its dates.
alter table campaign add column by_owner smallint not null default 0;
alter table campaign add column schedule text not null default '';
alter table campaign add column occasion bigint not null default 0;
create unique index campaign_occasion on campaign (schedule, occasion) where schedule <> '';

-- review_item.last_used_at (sensitive): when it was last used, as far as is known. assigned_by, assigned_why (sensitive): who gave it to its reviewer, where somebody did.
alter table review_item add column last_used_at bigint not null default 0;
alter table review_item add column assigned_by text not null default '';
alter table review_item add column assigned_why text not null default '';

-- operation.refused (public): why it was cancelled, where no person withdrew it: expired (nobody approved it in time) or rejected.
alter table operation add column refused text not null default '';
update operation set refused = 'rejected' where state = 'cancelled' and wanted_why like 'rejected at %';
update operation set refused = 'expired' where state = 'cancelled' and wanted_why like 'nobody approved it within %';
