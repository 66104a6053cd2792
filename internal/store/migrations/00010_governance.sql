-- +goose Up

-- approval_wait.escalated_to (sensitive: it may name persons): whom the escalation went to, blank for nobody; escalated_why: why to them, or why to nobody.
alter table approval_wait add column escalated_to text not null default '';
alter table approval_wait add column escalated_why text not null default '';
