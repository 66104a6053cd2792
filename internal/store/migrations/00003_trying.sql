-- +goose Up

-- step.failing_since (public): when the attempts at a step began to fail, 0 while they don't. What keeps it is named after a while.
alter table step add column failing_since bigint not null default 0;
