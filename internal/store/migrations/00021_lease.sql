-- +goose Up

-- lease: until when a tenant is there without anybody's further word. rule (public): the blueprint's, as it was then. ends_at, extended (public). set_by (sensitive): who of staff set the end. asked_at, asked_for, link (public): the question, and the id of its link, which is no secret. answer (public): of the tenant's contact. state, why (public): what became of it. suspension, departure (public): the operations that it started. due_at (public): when to look again.
create table lease (
  tenant      text   not null,
  rule        text   not null,
  started_at  bigint not null,
  ends_at     bigint not null,
  extended    bigint not null default 0,
  set_by      text   not null default '',
  set_at      bigint not null default 0,
  asked_at    bigint not null default 0,
  asked_for   bigint not null default 0,
  link        text   not null default '',
  answer      text   not null default '',
  answered_at bigint not null default 0,
  state       text   not null,
  state_at    bigint not null default 0,
  why         text   not null default '',
  suspension  text   not null default '',
  departure   text   not null default '',
  due_at      bigint not null default 0,
  version     bigint not null default 1,
  constraint lease_pk primary key (tenant)
);
create index lease_due on lease (due_at) where due_at > 0;
create index lease_link on lease (link) where link <> '';

-- tenant_use: what the accounts of a system tell of when a tenant was last used, as of the last sweep. used_at (public): the latest sign-in. told, untold (public): of how many accounts it is told, and of how many not.
create table tenant_use (
  tenant    text   not null,
  system    text   not null,
  used_at   bigint not null default 0,
  told      bigint not null default 0,
  untold    bigint not null default 0,
  looked_at bigint not null,
  constraint tenant_use_pk primary key (tenant, system)
);
create index tenant_use_system on tenant_use (system);
