-- +goose Up

-- secret.operation (public): the operation that made the credential; "" where that isn't known. secret.first_at (public): when the resource got its first one; 0 where that isn't known.
alter table secret add column operation text not null default '';
alter table secret add column first_at bigint not null default 0;

-- system_credential.first_at (public): since when the first credential that was seen of the system was kept; 0 where that isn't known.
alter table system_credential add column first_at bigint not null default 0;

-- secret_replaced: the credential that a running operation has replaced, sealed under the tenant's key (secret), until the operation has ended; it is put back if the system never took the new one. Of that one are also kept: maker (public), the operation that made it; created_at and claimed_at (public).
create table secret_replaced (
  resource   text   not null,
  operation  text   not null,
  key        text   not null,
  box        bytea  not null,
  maker      text   not null,
  created_at bigint not null,
  claimed_at bigint not null,
  constraint secret_replaced_pk primary key (resource)
);
