-- +goose Up

-- system_credential: since when a system has the credential that it was opened with last. digest (public): of what it was opened with, under a key of the keystore. since: when it was put where it is kept, or was seen there first. rotated_by (sensitive): who had it renewed; "" is Tenure by itself.
create table system_credential (
  system     text   not null,
  digest     text   not null,
  since      bigint not null,
  rotated_by text   not null,
  constraint system_credential_pk primary key (system)
);
