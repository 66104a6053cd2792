-- +goose Up

-- leave_ask: what came over the public page on which customers ask to leave, until it is looked at. address, named, reason (personal): what was typed; blank once it was looked at. by_address, by_name (public): keyed digests of the address and of the name, by which floods are bounded. looked_at (public): 0 until then.
create table leave_ask (
  id         text   not null,
  asked_at   bigint not null,
  by_address text   not null,
  by_name    text   not null,
  address    text   not null,
  named      text   not null,
  reason     text   not null,
  looked_at  bigint not null default 0,
  constraint leave_ask_pk primary key (id)
);
create index leave_ask_age on leave_ask (asked_at);
create index leave_ask_new on leave_ask (asked_at) where looked_at = 0;

-- leave_request: customers' own requests to leave. requester, contact (personal): the addresses of who asked, and of the tenant's contact who is asked. reason, why (sensitive): what they said. linked_at (public): when the contact was sent their link. expires_at (public): when it lapses without the word that is awaited. state, decided_at, decided_as (public): what became of it, and by whose word; decided_by (sensitive): who of staff. event (public): the event that it became. due_at (public): when to look again.
create table leave_request (
  id          text   not null,
  tenant      text   not null,
  requester   text   not null,
  reason      text   not null,
  asked_at    bigint not null,
  verified_at bigint not null default 0,
  contact     text   not null default '',
  linked_at   bigint not null default 0,
  expires_at  bigint not null,
  state       text   not null,
  decided_at  bigint not null default 0,
  decided_as  text   not null default '',
  decided_by  text   not null default '',
  why         text   not null default '',
  event       text   not null default '',
  due_at      bigint not null default 0,
  version     bigint not null default 1,
  constraint leave_request_pk primary key (id)
);
create index leave_request_tenant on leave_request (tenant, id);
create index leave_request_due on leave_request (due_at) where due_at > 0;
create index leave_request_age on leave_request (asked_at);
