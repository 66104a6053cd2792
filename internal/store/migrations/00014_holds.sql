-- +goose Up

-- hold.environment (public): the environment that it covers, blank for every one. part (sensitive): rows of a table or a prefix of keys, as JSON; blank for all. custodians (sensitive): who keeps what is held and when each acknowledged it, as JSON. remind_days (public): after how many days those who haven't are reminded, 0 for never; reminded_at (public): when they were last.
alter table hold add column environment text not null default '';
alter table hold add column part text not null default '';
alter table hold add column custodians text not null default '';
alter table hold add column remind_days bigint not null default 0;
alter table hold add column reminded_at bigint not null default 0;

-- hold.stalled (sensitive): the systems' own rules that it suspended, with the text that stood there, as JSON.
alter table hold add column stalled text not null default '';
