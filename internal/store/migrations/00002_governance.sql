-- +goose Up

-- principal: who can be a caller: persons and machines (sensitive; email is personal). name is never given to another.
create table principal (
  id         text   not null,
  name       text   not null,
  display    text   not null,
  email      text   not null,
  kind       text   not null,
  owner      text   not null,
  issuer     text   not null,
  subject    text   not null,
  state      text   not null,
  created_by text   not null,
  created_at bigint not null,
  seen_at    bigint not null,
  version    bigint not null,
  constraint principal_pk primary key (id)
);
create unique index principal_name on principal (name);
create unique index principal_identity on principal (issuer, subject) where subject <> '';
create index principal_email on principal (email) where email <> '';
create index principal_owner on principal (owner) where owner <> '';

-- role_grant: roles over scopes (sensitive). An elevation's grant names it.
create table role_grant (
  id         text   not null,
  principal  text   not null,
  role       text   not null,
  scope      text   not null,
  reason     text   not null,
  granted_by text   not null,
  granted_at bigint not null,
  expires_at bigint not null,
  elevation  text   not null,
  break_glass smallint not null,
  revoked_at bigint not null,
  revoked_by text   not null,
  constraint role_grant_pk primary key (id),
  constraint role_grant_principal_fk foreign key (principal) references principal (id)
);
create index role_grant_principal on role_grant (principal);

-- token: machines' and command lines' credentials, as SHA-256 of high-entropy texts (secret).
create table token (
  id         text   not null,
  hash       bytea  not null,
  principal  text   not null,
  name       text   not null,
  scope      text   not null,
  allows     text   not null,
  strong     smallint not null,
  created_by text   not null,
  created_at bigint not null,
  expires_at bigint not null,
  used_at    bigint not null,
  revoked_at bigint not null,
  constraint token_pk primary key (id),
  constraint token_principal_fk foreign key (principal) references principal (id)
);
create unique index token_hash on token (hash);
create index token_principal on token (principal);

-- session: browsers that are signed in, by SHA-256 of the cookie's value (secret; agent is personal).
create table session (
  id         text     not null,
  hash       bytea    not null,
  principal  text     not null,
  strong     smallint not null,
  method     text     not null,
  agent      text     not null,
  created_at bigint   not null,
  seen_at    bigint   not null,
  expires_at bigint   not null,
  revoked_at bigint   not null,
  constraint session_pk primary key (id),
  constraint session_principal_fk foreign key (principal) references principal (id)
);
create unique index session_hash on session (hash);
create index session_principal on session (principal);

-- one_time: what is good for one use before a date: bootstrap codes, sign-ins under way, device codes (secret).
create table one_time (
  hash       bytea  not null,
  purpose    text   not null,
  code       text   not null,
  principal  text   not null,
  data       text   not null,
  created_at bigint not null,
  expires_at bigint not null,
  used_at    bigint not null,
  constraint one_time_pk primary key (hash)
);
create unique index one_time_code on one_time (purpose, code) where code <> '' and used_at = 0;
create index one_time_expiry on one_time (expires_at);

-- access_event: sign-ins, refusals, elevations, approvals: what anomalies are found in (personal; kept for 400 days).
create table access_event (
  id        text   not null,
  at        bigint not null,
  kind      text   not null,
  principal text   not null,
  tenant    text   not null,
  detail    text   not null,
  constraint access_event_pk primary key (id)
);
create index access_event_at on access_event (kind, at);
create index access_event_principal on access_event (principal, at);

-- elevation: time-bound roles and break-glass (sensitive). digest is of what was asked for; approvals sign it. The
-- login is noted here before it is made: claiming_at says since when, login_gone_at when it was seen to be gone.
create table elevation (
  id            text   not null,
  kind          text   not null,
  principal     text   not null,
  name          text   not null,
  owner         text   not null,
  role          text   not null,
  scope         text   not null,
  reason        text   not null,
  lasts         text   not null,
  system        text   not null,
  access        text   not null,
  digest        text   not null,
  state         text   not null,
  requested_at  bigint not null,
  decided_by    text   not null,
  decided_at    bigint not null,
  claim_until   bigint not null,
  started_at    bigint not null,
  ends_at       bigint not null,
  ended_at      bigint not null,
  ended_by      text   not null,
  why           text   not null,
  reviewed_by   text   not null,
  reviewed_at   bigint not null,
  review_note   text   not null,
  login         text   not null,
  claiming_at   bigint not null,
  login_gone_at bigint not null,
  version       bigint not null,
  constraint elevation_pk primary key (id),
  constraint elevation_principal_fk foreign key (principal) references principal (id)
);
create index elevation_open on elevation (state, ends_at);
create index elevation_unreviewed on elevation (requested_at) where kind = 'breakglass' and reviewed_at = 0;
create index elevation_login on elevation (system, login) where login <> '' and login_gone_at = 0;

-- elevation_scope: what an elevation is over, a row each (sensitive): all, or a tenant, tier or label. Lists are narrowed by it.
create table elevation_scope (
  elevation text not null,
  kind      text not null,
  value     text not null,
  constraint elevation_scope_pk primary key (elevation, kind, value),
  constraint elevation_scope_fk foreign key (elevation) references elevation (id)
);

-- campaign: access reviews (sensitive). evidence names items by the digests of their texts, so it outlives what is forgotten of a tenant.
create table campaign (
  id         text   not null,
  name       text   not null,
  covers     text   not null,
  scope      text   not null,
  reviewers  text   not null,
  silence    text   not null,
  state      text   not null,
  due_at     bigint not null,
  created_by text   not null,
  created_at bigint not null,
  closed_at  bigint not null,
  closed_by  text   not null,
  digest     text   not null,
  evidence   text   not null,
  version    bigint not null,
  constraint campaign_pk primary key (id)
);
create index campaign_open on campaign (state, due_at);

-- review_item: one thing that a campaign asks about (sensitive).
create table review_item (
  campaign   text   not null,
  seq        bigint not null,
  kind       text   not null,
  subject    text   not null,
  tenant     text   not null,
  holder     text   not null,
  owner      text   not null,
  detail     text   not null,
  salt       text   not null,
  reviewer   text   not null,
  decision   text   not null,
  change_to  text   not null,
  reason     text   not null,
  decided_by text   not null,
  decided_at bigint not null,
  operation  text   not null,
  outcome    text   not null,
  constraint review_item_pk primary key (campaign, seq),
  constraint review_item_campaign_fk foreign key (campaign) references campaign (id)
);
create index review_item_tenant on review_item (tenant);
create index review_item_pending on review_item (campaign, seq) where decision <> '' and outcome = '';

-- access_move: changes of somebody's roles that wait for a second person's signature under their digest (sensitive).
create table access_move (
  digest       text   not null,
  principal    text   not null,
  body         text   not null,
  state        text   not null,
  requested_by text   not null,
  requested_at bigint not null,
  decided_by   text   not null,
  decided_at   bigint not null,
  note         text   not null,
  constraint access_move_pk primary key (digest),
  constraint access_move_principal_fk foreign key (principal) references principal (id)
);
create index access_move_state on access_move (state, requested_at);

-- agreement: data sharing agreements and export grants of a tenant (sensitive).
create table agreement (
  id         text   not null,
  tenant     text   not null,
  kind       text   not null,
  party      text   not null,
  classes    text   not null,
  purpose    text   not null,
  starts_at  bigint not null,
  expires_at bigint not null,
  created_by text   not null,
  created_at bigint not null,
  ended_at   bigint not null,
  ended_by   text   not null,
  ended_why  text   not null,
  noticed_at bigint not null,
  version    bigint not null,
  constraint agreement_pk primary key (id)
);
create index agreement_tenant on agreement (tenant);
create index agreement_open on agreement (expires_at) where ended_at = 0;

-- delegation: one person's approvals decided by another for a while (sensitive).
create table delegation (
  id         text   not null,
  from_name  text   not null,
  to_name    text   not null,
  scope      text   not null,
  reason     text   not null,
  starts_at  bigint not null,
  ends_at    bigint not null,
  created_at bigint not null,
  revoked_at bigint not null,
  revoked_by text   not null,
  constraint delegation_pk primary key (id)
);
create index delegation_to on delegation (to_name);
create index delegation_from on delegation (from_name);

-- standing: rules that start plans that only create without hands, once two persons reviewed them (sensitive).
create table standing (
  id          text   not null,
  name        text   not null,
  rule        text   not null,
  digest      text   not null,
  state       text   not null,
  proposed_by text   not null,
  proposed_at bigint not null,
  reviews     text   not null,
  ends_at     bigint not null,
  ended_by    text   not null,
  ended_at    bigint not null,
  version     bigint not null,
  constraint standing_pk primary key (id)
);
create index standing_state on standing (state, ends_at);

-- standing_start: what a standing approval started, until a person has looked at it (sensitive).
create table standing_start (
  standing    text   not null,
  operation   text   not null,
  tenant      text   not null,
  resources   bigint not null,
  at          bigint not null,
  reviewed_by text   not null,
  reviewed_at bigint not null,
  constraint standing_start_pk primary key (operation)
);
create index standing_start_at on standing_start (standing, at);
create index standing_start_unseen on standing_start (at) where reviewed_at = 0;

-- approval_wait: gates that wait for persons, with their dates (public): the inbox, and what expiry and reminders read.
create table approval_wait (
  operation    text   not null,
  step         text   not null,
  tenant       text   not null,
  action       text   not null,
  gate         text   not null,
  resources    bigint not null,
  destructive  bigint not null,
  since        bigint not null,
  expires_at   bigint not null,
  remind_at    bigint not null,
  escalate_at  bigint not null,
  reminded_at  bigint not null,
  escalated_at bigint not null,
  constraint approval_wait_pk primary key (operation, step)
);
create index approval_wait_since on approval_wait (since, operation, step);
create index approval_wait_expires on approval_wait (expires_at) where expires_at > 0;
create index approval_wait_remind on approval_wait (remind_at) where remind_at > 0 and reminded_at = 0;
create index approval_wait_escalate on approval_wait (escalate_at) where escalate_at > 0 and escalated_at = 0;

-- approval: on whose behalf it was given (sensitive), and with which roles.
alter table approval add column on_behalf text not null default '';
alter table approval add column roles text not null default '';
-- operation: why a person, or the clock, wants it ended (sensitive).
alter table operation add column wanted_why text not null default '';
create index exception_open on exception (asked_at) where attested_at = 0;

-- departure_link: a leaving customer's own view, by SHA-256 of the link's secret (secret).
create table departure_link (
  id         text   not null,
  hash       bytea  not null,
  tenant     text   not null,
  created_by text   not null,
  created_at bigint not null,
  expires_at bigint not null,
  revoked_at bigint not null,
  seen_at    bigint not null,
  constraint departure_link_pk primary key (id)
);
create unique index departure_link_hash on departure_link (hash);
create index departure_link_tenant on departure_link (tenant);

-- idempotency: answers by the key that a caller gave its request (sensitive; kept for 24 hours). status 0 is under way.
create table idempotency (
  caller      text   not null,
  key         text   not null,
  path        text   not null,
  body_digest text   not null,
  status      bigint not null,
  header      text   not null,
  answer      bytea  not null,
  created_at  bigint not null,
  constraint idempotency_pk primary key (caller, key)
);
create index idempotency_age on idempotency (created_at);

-- tenant_label: labels as key=value (sensitive), for filters and scopes; deleted when the tenant is forgotten.
create table tenant_label (
  label  text not null,
  tenant text not null,
  constraint tenant_label_pk primary key (label, tenant)
) /*sqlite: without rowid */;
create index tenant_label_tenant on tenant_label (tenant);

-- fleet_count: how many tenants there are by label (blank: of all tenants), tier, state and revision: kept, not
-- counted (labels are sensitive). A row that comes to 0 is deleted, so that no label outlives its last tenant here.
create table fleet_count (
  label     text   not null,
  tier      text   not null,
  state     text   not null,
  blueprint text   not null,
  n         bigint not null,
  constraint fleet_count_pk primary key (label, tier, state, blueprint)
) /*sqlite: without rowid */;
insert into fleet_count (label, tier, state, blueprint, n)
  select '', tier, state, blueprint, count(*) from tenant group by tier, state, blueprint;

-- incident: incidents of tenants that other systems reported (sensitive).
create table incident (
  id       text   not null,
  tenant   text   not null,
  severity text   not null,
  source   text   not null,
  detail   text   not null,
  at       bigint not null,
  constraint incident_pk primary key (id)
);
create index incident_tenant on incident (tenant, at);

alter table tenant add column labels text not null default '';
create index tenant_tier on tenant (tier, id);
create index tenant_name on tenant (name /*postgres: collate "C" */, id);
create index tenant_blueprint on tenant (blueprint, id);
create index tenant_tier_state on tenant (tier, state, id);
create index tenant_blueprint_state on tenant (blueprint, state, id);
create index operation_ended on operation (kind, updated_at, tenant) where state in ('succeeded', 'failed', 'cancelled');
create index operation_attention on operation (state, updated_at, id, kind, tenant) where state in ('waiting', 'blocked', 'paused');
create index finding_severity on finding (severity, tenant, waived_until) where resolved_at = 0;
create index finding_seen on finding (severity, seen_at, id) where resolved_at = 0;
create index finding_kind on finding (kind, tenant) where resolved_at = 0;
create index hold_tenant on hold (tenant) where released_at = 0;
create index finding_anomaly on finding (name, seen_at) where kind = 'anomaly' and resolved_at = 0;
alter table operation add column trace text not null default '';
alter table notice add column attempts bigint not null default 0;
alter table notice add column next_at bigint not null default 0;
alter table notice add column error text not null default '';
create index notice_unsent on notice (created_at) where sent_at = 0;
create index operation_standing on operation (state, kind) where state in ('waiting', 'blocked', 'paused');
