-- The platform's own database. A workspace is one tenant's one environment,
-- such as acme-prod. Rows that bear a tenure_mark are Tenure's to make and to
-- take away; the platform only reads them.

create table if not exists workspaces (
  workspace text primary key,
  tenant text not null,
  environment text not null,
  database text not null,
  bucket text not null,
  tenure_mark text
);

create table if not exists accounts (
  workspace text not null,
  login text not null,
  role text not null,
  active integer not null default 1,
  secret_sha256 text not null default '',
  tenure_mark text,
  primary key (workspace, login)
);

create table if not exists api_keys (
  workspace text not null,
  label text not null,
  scope text not null default 'read',
  active integer not null default 1,
  secret_sha256 text not null default '',
  tenure_mark text,
  primary key (workspace, label)
);

create index if not exists api_keys_by_secret on api_keys (secret_sha256);

create table if not exists sessions (
  workspace text not null,
  label text not null,
  login text not null,
  active integer not null default 1,
  tenure_mark text,
  primary key (workspace, label)
);

create table if not exists webhooks (
  workspace text not null,
  label text not null,
  url text not null,
  event text not null,
  active integer not null default 1,
  tenure_mark text,
  primary key (workspace, label)
);

create table if not exists entitlements (
  workspace text not null,
  feature text not null,
  enabled integer not null default 0,
  tenure_mark text,
  primary key (workspace, feature)
);

create table if not exists app_templates (
  template text primary key,
  title text not null,
  form text not null
);

create table if not exists apps (
  workspace text not null,
  app text not null,
  template text not null references app_templates (template),
  title text not null,
  tenure_mark text,
  primary key (workspace, app)
);

-- Written by the platform for every call: rows of all tenants in one table. The
-- column has a name of its own, so that a workspace's data in shared tables is
-- told from the rows above, which are managed one by one.
create table if not exists usage_events (
  id integer primary key,
  billed_to text not null,
  at text not null, -- ISO 8601, UTC
  method text not null,
  path text not null,
  status integer not null
);

create index if not exists usage_events_by_workspace on usage_events (billed_to);

-- What is left of the calls of workspaces that left: how many a year, of all of them.
create table if not exists usage_by_year (
  year text not null unique,
  calls integer not null
);

-- What users say of the platform. It is worth reading when its workspace has left, and
-- tells of nobody by then.
create table if not exists feedback (
  id integer primary key,
  billed_to text,
  given text not null,
  by_login text,
  rating integer not null check (rating between 1 and 5),
  remark text
);

insert into app_templates (template, title, form) values
  ('customers', 'Customers', '{"fields": ["name", "city", "segment"]}'),
  ('orders', 'Orders', '{"fields": ["customer", "article", "quantity", "cents"]}'),
  ('invoices', 'Invoices', '{"fields": ["order", "cents", "due"]}')
on conflict (template) do nothing;
