-- +goose Up

-- tenant.domains, tenant.external_ids (sensitive): what other systems know the tenant by, one a line.
alter table tenant add column domains text not null default '';
alter table tenant add column external_ids text not null default '';

-- known_digest: keyed digests of what a forgotten tenant was known by, so that its ghosts are found for a while.
create table known_digest (
  tenant     text   not null,
  kind       text   not null,
  digest     text   not null,
  expires_at bigint not null,
  constraint known_digest_pk primary key (tenant, kind, digest)
);

-- finding.confidence (public): how sure it is whose the thing is. finding.steps (sensitive): what a person does to settle it, as a JSON list.
alter table finding add column confidence text not null default '';
alter table finding add column steps text not null default '';
