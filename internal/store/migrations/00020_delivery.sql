-- +goose Up

-- notice.kind (public): what it tells of, such as tenant.suspended. about (public): the tenant that it tells of, where the notice outlives the tenant's rows. routed_at: when it was shared out among the targets.
drop index notice_unsent;
alter table notice rename column sent_at to routed_at;
alter table notice drop column attempts;
alter table notice drop column next_at;
alter table notice drop column error;
alter table notice add column kind text not null default '';
alter table notice add column about text not null default '';
create index notice_unrouted on notice (created_at) where routed_at = 0;

-- delivery: one notice on its way to one target of the settings, and there to one address. address (personal): whom it is for; blank for targets that have one address. error (sensitive): what the last try came to. since (public): from when its tries are counted: when it was made, or sent again by hand. answer: an acknowledgement that is awaited, until due_at.
create table delivery (
  id         text   not null,
  notice     text   not null,
  target     text   not null,
  address    text   not null default '',
  tenant     text   not null default '',
  created_at bigint not null,
  since      bigint not null,
  state      text   not null,
  attempts   bigint not null default 0,
  next_at    bigint not null default 0,
  ended_at   bigint not null default 0,
  error      text   not null default '',
  due_at     bigint not null default 0,
  answer     text   not null default '',
  constraint delivery_pk primary key (id)
);
create index delivery_open on delivery (target, created_at, notice) where state in ('waiting', 'sending');
create index delivery_notice on delivery (notice);
create index delivery_tenant on delivery (tenant) where tenant <> '';
create index delivery_due on delivery (due_at) where due_at > 0;
create index delivery_age on delivery (created_at);

-- notify_target: how a target of the settings does.
create table notify_target (
  name          text   not null,
  failing_since bigint not null default 0,
  disabled_at   bigint not null default 0,
  why           text   not null default '',
  constraint notify_target_pk primary key (name)
);
