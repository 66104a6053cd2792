-- +goose Up

-- vendor: what a company without an interface was asked in a departure, and what it said. email (sensitive): who is asked, where that isn't who the blueprint names. link (public): the id of the question's link, which is no secret. asked_by, recorded_by (sensitive): who of staff asked again, and who put an answer down. answer, until_at, reason (sensitive), name (personal), role (sensitive), evidence (sensitive), evidence_sha256 (public): the company's word. earlier (personal): answers that don't count any more, a line for each, with why. due_at (public): when to look again.
create table vendor (
  operation       text   not null,
  step            text   not null,
  tenant          text   not null,
  opened_at       bigint not null,
  email           text   not null default '',
  link            text   not null default '',
  asked_at        bigint not null default 0,
  asked_by        text   not null default '',
  reminded_at     bigint not null default 0,
  answer          text   not null default '',
  until_at        bigint not null default 0,
  reason          text   not null default '',
  name            text   not null default '',
  role            text   not null default '',
  evidence        text   not null default '',
  evidence_sha256 text   not null default '',
  answered_at     bigint not null default 0,
  recorded_by     text   not null default '',
  earlier         text   not null default '',
  due_at          bigint not null default 0,
  version         bigint not null default 1,
  constraint vendor_pk primary key (operation, step)
);
create index vendor_due on vendor (due_at) where due_at > 0;
create index vendor_link on vendor (link) where link <> '';
