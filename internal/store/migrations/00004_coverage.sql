-- +goose Up

-- coverage: what was added, for one tenant, to what its blueprint covers (sensitive; blanked when the tenant is
-- forgotten). It counts once a second person has reviewed it.
create table coverage (
  digest      text   not null,
  tenant      text   not null,
  resource    text   not null,
  body        text   not null,
  reason      text   not null,
  asked_by    text   not null,
  asked_at    bigint not null,
  reviewed_by text   not null,
  reviewed_at bigint not null,
  constraint coverage_pk primary key (digest),
  constraint coverage_tenant_fk foreign key (tenant) references tenant (id),
  constraint coverage_resource_fk foreign key (resource) references resource (id)
);
create index coverage_tenant on coverage (tenant, asked_at);

-- sought: where a closed tenant's data stood. places is public (names of shared tables); box is what is sought
-- there, sealed under an evidence key of its own until expires_at, and empty when that key was destroyed.
create table sought (
  resource   text   not null,
  tenant     text   not null,
  system     text   not null,
  type       text   not null,
  places     text   not null,
  key        text   not null,
  box        bytea  not null,
  expires_at bigint not null,
  looked_at  bigint not null,
  constraint sought_pk primary key (resource),
  constraint sought_tenant_fk foreign key (tenant) references tenant (id),
  constraint sought_resource_fk foreign key (resource) references resource (id)
);
create index sought_tenant on sought (tenant);
create index sought_due on sought (looked_at, resource);
create index sought_expiry on sought (expires_at);
