-- What all tenants share. Run it once, as the role that Tenure connects with:
--   psql "$DSN" -f platform.sql
-- It may be run again.

create schema if not exists platform;
create schema if not exists metering;

-- The platform's own tables. Rows that bear a tenure_mark are Tenure's to make
-- and to take away. No tenant's role has any right here.
create table if not exists platform.workspaces (
  workspace text primary key,
  environment text not null,
  schema_name text not null,
  role_name text not null,
  api boolean not null default false,
  tenure_mark text
);

create table if not exists platform.accounts (
  workspace text not null,
  login text not null,
  role text not null,
  active boolean not null default true,
  secret_sha256 text not null default '',
  tenure_mark text,
  primary key (workspace, login)
);

create table if not exists platform.api_keys (
  workspace text not null,
  label text not null,
  scope text not null,
  active boolean not null default true,
  secret_sha256 text not null default '',
  tenure_mark text,
  primary key (workspace, label)
);

create table if not exists platform.sessions (
  workspace text not null,
  label text not null,
  login text not null,
  active boolean not null default true,
  tenure_mark text,
  primary key (workspace, label)
);

create table if not exists platform.integrations (
  workspace text not null,
  label text not null,
  target text not null,
  event text not null,
  active boolean not null default true,
  tenure_mark text,
  primary key (workspace, label)
);

-- The pool: rows of all tenants. A tenant's role reaches its own by a policy
-- that Tenure makes; without one row level security lets nothing through.
create table if not exists metering.usage_events (
  id bigint generated always as identity primary key,
  tenant_key text not null,
  happened_at timestamptz not null default now(),
  kind text not null
);
create index if not exists usage_events_by_tenant on metering.usage_events (tenant_key, id);

create table if not exists metering.usage_lines (
  id bigint generated always as identity primary key,
  event_id bigint not null references metering.usage_events (id),
  metric text not null,
  amount bigint not null
);
create index if not exists usage_lines_by_event on metering.usage_lines (event_id, id);

create table if not exists metering.activity_events (
  id bigint generated always as identity primary key,
  tenant_key text not null,
  happened_at timestamptz not null default now(),
  login text not null,
  what text not null
);
create index if not exists activity_events_by_tenant on metering.activity_events (tenant_key, id);

alter table metering.usage_events enable row level security;
alter table metering.activity_events enable row level security;
