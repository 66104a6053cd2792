-- +goose Up

-- task.artifact (public): 1 for something whose ownership is handed over, of which task is the name and place (sensitive) is where it is. outcome (public): reassigned or archived, once it is done; destination (sensitive): who owns it now, in words, or where it was put.
alter table task add column artifact bigint not null default 0;
alter table task add column place text not null default '';
alter table task add column outcome text not null default '';
alter table task add column destination text not null default '';
