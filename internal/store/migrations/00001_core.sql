-- +goose Up

-- meta: one row a fact about this installation (public): its id, the moment of its making.
create table meta (
  key   text not null,
  value text not null,
  constraint meta_pk primary key (key)
);

-- tenant_move: the legal moves between tenant states (public), copied from the program's table.
-- The foreign key on tenant makes an illegal move impossible to store. from_state is '' for a new tenant.
create table tenant_move (
  from_state text not null,
  to_state   text not null,
  constraint tenant_move_pk primary key (from_state, to_state)
);

-- blueprint: immutable revisions, named by digest (public). author and publisher are sensitive.
create table blueprint (
  digest       text   not null,
  name         text   not null,
  version      text   not null,
  body         text   not null,
  author       text   not null,
  created_at   bigint not null,
  published_by text   not null default '',
  published_at bigint not null default 0,
  constraint blueprint_pk primary key (digest)
);
create index blueprint_name on blueprint (name, created_at);
create unique index blueprint_published on blueprint (name, version) where published_at > 0;

-- system: configured outside things (public): who each was when it was added.
create table system (
  name        text   not null,
  connector   text   not null,
  version     text   not null,
  fingerprint text   not null,
  added_by    text   not null,
  added_at    bigint not null,
  constraint system_pk primary key (name)
);

-- tenant: one row a tenant. name, organization and parameters are sensitive, contact is personal;
-- all four are blanked when the tenant's own rows are forgotten.
create table tenant (
  id           text   not null,
  name         text   not null,
  organization text   not null,
  contact      text   not null,
  tier         text   not null,
  state        text   not null,
  previous     text   not null,
  blocked      text   not null,
  blueprint    text   not null,
  parameters   text   not null,
  features     text   not null,
  anchors      text   not null,
  created_at   bigint not null,
  updated_at   bigint not null,
  version      bigint not null,
  constraint tenant_pk primary key (id),
  constraint tenant_legal_move foreign key (previous, state) references tenant_move (from_state, to_state)
);
create unique index tenant_live_name on tenant (name) where state <> 'closed' and name <> '';
create index tenant_state on tenant (state, id);

-- plan: immutable plans by digest. body is sensitive and is blanked when the tenant's own rows are forgotten.
create table plan (
  digest     text   not null,
  tenant     text   not null,
  kind       text   not null,
  body       text   not null,
  made_by    text   not null,
  created_at bigint not null,
  constraint plan_pk primary key (digest)
);
create index plan_tenant on plan (tenant);

-- operation: executions of plans (public; requested_by is sensitive). due_at 0 means that an event is awaited.
create table operation (
  id             text     not null,
  kind           text     not null,
  tenant         text     not null,
  plan           text     not null,
  state          text     not null,
  reason         text     not null,
  requested_by   text     not null,
  trigger_key    text     not null,
  blueprint      text     not null,
  destructive    smallint not null,
  driver         text     not null,
  locked         smallint not null,
  wanted         text     not null,
  created_at     bigint   not null,
  updated_at     bigint   not null,
  due_at         bigint   not null,
  reserved_until bigint   not null,
  version        bigint   not null,
  constraint operation_pk primary key (id),
  constraint operation_plan_fk foreign key (plan) references plan (digest)
) /*postgres: with (fillfactor = 50) */;
create unique index operation_trigger on operation (trigger_key) where trigger_key <> '';
create index operation_due on operation (due_at) where due_at > 0;
create index operation_tenant on operation (tenant, created_at);
create index operation_active on operation (id) where state in ('running', 'compensating');

-- step: one row a step of an operation (public; error and receipt are redacted by their makers). No index but the
-- key: a claim and a result change a row in place. Lapsed leases are found through operation_active.
create table step (
  operation   text     not null,
  seq         bigint   not null,
  key         text     not null,
  state       text     not null,
  verdict     text     not null,
  attempt     bigint   not null,
  destructive smallint not null,
  owner       text     not null,
  token       bigint   not null,
  lease_until bigint   not null,
  due_at      bigint   not null,
  started_at  bigint   not null,
  ended_at    bigint   not null,
  error_code  text     not null,
  error       text     not null,
  receipt     text     not null,
  progress    text     not null,
  constraint step_pk primary key (operation, seq)
) /*postgres: with (fillfactor = 50) */;

-- approval: signatures under plans at gates (approver is sensitive).
create table approval (
  operation text   not null,
  step      text   not null,
  digest    text   not null,
  approver  text   not null,
  at        bigint not null,
  note      text   not null,
  constraint approval_pk primary key (operation, step, approver)
);

-- exception: steps left out or accepted unproven, by one person and attested by another (people are sensitive).
create table exception (
  operation   text   not null,
  step        text   not null,
  reason      text   not null,
  asked_by    text   not null,
  asked_at    bigint not null,
  attested_by text   not null,
  attested_at bigint not null,
  constraint exception_pk primary key (operation, step)
);

-- resource: the inventory. live is 0 once the resource is gone: an index over the state would be written at every
-- change of it. name, desired and observed are sensitive and are blanked when the tenant is forgotten.
create table resource (
  id          text     not null,
  tenant      text     not null,
  environment text     not null,
  key         text     not null,
  system      text     not null,
  type        text     not null,
  name        text     not null,
  layer       smallint not null,
  state       text     not null,
  live        smallint not null,
  verdict     text     not null,
  desired     text     not null,
  normal      text     not null,
  observed    text     not null,
  classes     text     not null,
  needs       text     not null,
  operation   text     not null,
  created_at  bigint   not null,
  updated_at  bigint   not null,
  expires_at  bigint   not null,
  version     bigint   not null,
  constraint resource_pk primary key (id)
) /*postgres: with (fillfactor = 50) */;
create index resource_tenant on resource (tenant, system);
create unique index resource_name on resource (system, type, name) where live = 1;

-- touch: which resources an operation touches (public); it holds them while it is locked.
create table touch (
  resource  text     not null,
  operation text     not null,
  constraint touch_pk primary key (resource, operation)
) /*sqlite: without rowid */;
create index touch_operation on touch (operation);

-- secret: credentials that Tenure made, sealed under the tenant's key (secret).
create table secret (
  resource   text   not null,
  key        text   not null,
  box        bytea  not null,
  created_at bigint not null,
  claimed_at bigint not null,
  constraint secret_pk primary key (resource)
);

-- hold: legal holds (sensitive). tenant, class, system and resource blank mean all.
create table hold (
  id           text   not null,
  matter       text   not null,
  tenant       text   not null,
  class        text   not null,
  system       text   not null,
  resource     text   not null,
  reason       text   not null,
  placed_by    text   not null,
  placed_at    bigint not null,
  effective_at bigint not null,
  already_gone text   not null,
  release_by   text   not null,
  released_at  bigint not null,
  constraint hold_pk primary key (id)
);

-- finding: what isn't as it should be (want, got, name are sensitive). fingerprint makes the same finding one row.
create table finding (
  id           text   not null,
  fingerprint  text   not null,
  kind         text   not null,
  severity     text   not null,
  tenant       text   not null,
  resource     text   not null,
  system       text   not null,
  type         text   not null,
  name         text   not null,
  field        text   not null,
  want         text   not null,
  got          text   not null,
  detail       text   not null,
  seen_at      bigint not null,
  resolved_at  bigint not null,
  waived_until bigint not null,
  waived_by    text   not null,
  constraint finding_pk primary key (id)
);
create unique index finding_open on finding (fingerprint) where resolved_at = 0;
create index finding_tenant on finding (tenant);

-- notice: the outbox (sensitive): written with the state change, sent afterwards.
create table notice (
  id         text   not null,
  tenant     text   not null,
  operation  text   not null,
  recipient  text   not null,
  body       text   not null,
  created_at bigint not null,
  sent_at    bigint not null,
  constraint notice_pk primary key (id)
);

-- certificate: issued certificates, whole (public by design: names are digests).
create table certificate (
  id        text   not null,
  tenant    text   not null,
  kind      text   not null,
  digest    text   not null,
  body      text   not null,
  issued_at bigint not null,
  constraint certificate_pk primary key (id)
);
create index certificate_tenant on certificate (tenant);

-- audit_entry: the log (public; people are sealed inside before hashing).
create table audit_entry (
  idx  bigint not null,
  body bytea  not null,
  constraint audit_entry_pk primary key (idx)
);

-- audit_node: stored hashes of the tree, packed: one row a commit, first is the index of its first hash (public).
create table audit_node (
  first bigint not null,
  data  bytea  not null,
  constraint audit_node_pk primary key (first)
);

-- audit_head: the tree's size; taken last in every commit (public).
create table audit_head (
  id   smallint not null,
  size bigint   not null,
  constraint audit_head_pk primary key (id)
);
insert into audit_head (id, size) values (1, 0);

-- checkpoint: signed heads of the log that went to the witness (public).
create table checkpoint (
  size bigint not null,
  note text   not null,
  at   bigint not null,
  constraint checkpoint_pk primary key (size)
);
insert into meta (key, value) values ('hold_epoch', '0');
