-- +goose Up

-- inbound: what other systems say has happened, as it came, and what became of it. source (public): which system, by its name in the settings. external_id, type, subject, version (sensitive): the source's own words. body (personal): what it sent. state, rule (public): what became of it, by which rule. why (sensitive): the reason. customer (public): a keyed digest of the customer's key. tenant, operation (public): what it concerns and started.
create table inbound (
  id          text    not null,
  source      text    not null,
  external_id text    not null,
  type        text    not null,
  subject     text    not null,
  version     text    not null,
  happened_at bigint  not null,
  received_at bigint  not null,
  body        bytea   not null,
  state       text    not null,
  why         text    not null default '',
  rule        text    not null default '',
  customer    text    not null default '',
  tenant      text    not null default '',
  operation   text    not null default '',
  attempts    bigint  not null default 0,
  next_at     bigint  not null default 0,
  decided_at  bigint  not null default 0,
  decided_by  text    not null default '',
  released    bigint  not null default 0,
  pending     text    not null default '',
  constraint inbound_pk primary key (id),
  constraint inbound_once unique (source, external_id)
);
create index inbound_open on inbound (next_at, id) where state = 'received';
create index inbound_customer on inbound (customer, id) where state = 'received';
create index inbound_operation on inbound (operation) where operation <> '';
create index inbound_tenant on inbound (tenant) where tenant <> '';
create index inbound_age on inbound (received_at);
create index inbound_state on inbound (state, id);

-- trigger_customer: how far a customer's events have been heeded. key (public): a keyed digest of what rules call the customer, or the tenant's id. tenant (public): whose it is. The rest (public): moments, as the sources say them.
create table trigger_customer (
  key          text   not null,
  tenant       text   not null default '',
  started_at   bigint not null default 0,
  changed_at   bigint not null default 0,
  failures     text   not null default '',
  paid_at      bigint not null default 0,
  suspended_at bigint not null default 0,
  ended_at     bigint not null default 0,
  ended_for    text   not null default '',
  grace_until  bigint not null default 0,
  grace_rule   text   not null default '',
  grace_told   bigint not null default 0,
  ends_told    text   not null default '',
  contract_end bigint not null default 0,
  constraint trigger_customer_pk primary key (key)
);
create index trigger_customer_contract on trigger_customer (contract_end) where contract_end > 0;
create index trigger_customer_grace on trigger_customer (grace_until) where grace_until > 0;
create index known_digest_value on known_digest (kind, digest);

-- trigger_subject: the version of each source's object that was heeded last. key (public): a keyed digest of source and subject. version (sensitive): the source's own. at (public): when that happened.
create table trigger_subject (
  key        text   not null,
  version    text   not null,
  at         bigint not null,
  updated_at bigint not null,
  constraint trigger_subject_pk primary key (key)
);

-- trigger_revision: revisions of trigger rules. body (sensitive): as submitted. author, published_by (sensitive): who wrote it, and who answers for it.
create table trigger_revision (
  digest       text   not null,
  name         text   not null,
  version      text   not null,
  file         text   not null,
  body         text   not null,
  author       text   not null,
  created_at   bigint not null,
  published_by text   not null default '',
  published_at bigint not null default 0,
  constraint trigger_revision_pk primary key (digest)
);
