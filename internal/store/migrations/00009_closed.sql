-- +goose Up

-- record: what staff wrote of a tenant that has closed and has to be known for a while: reasons of holds, of access and
-- of exceptions (sensitive). box is that, sealed under an evidence key of the tenant's own until expires_at; key and box are
-- empty once that key was destroyed.
create table record (
  tenant     text   not null,
  key        text   not null,
  box        bytea  not null,
  expires_at bigint not null,
  constraint record_pk primary key (tenant),
  constraint record_tenant_fk foreign key (tenant) references tenant (id)
);
create index record_expiry on record (expires_at);

-- idempotency.tenants (public): the tenants that an answer is about, so that it goes with them.
alter table idempotency add column tenants text not null default '';

-- certificate.annex (sensitive): the auditor's annex, in base64: which holds covered the tenant. It goes into the record when
-- the tenant has closed.
alter table certificate add column annex text not null default '';
/*sqlite: update certificate set annex = json_extract(body, '$.annex'), body = json_remove(body, '$.annex') where json_extract(body, '$.annex') is not null; */
/*postgres: update certificate set annex = body::json ->> 'annex', body = (body::jsonb - 'annex')::text where body::json ->> 'annex' is not null; */
