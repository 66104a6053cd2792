-- +goose Up

-- tenant_external: what other systems call tenants (sensitive), by which events find theirs; deleted when the tenant is forgotten.
create table tenant_external (
  external_id text not null,
  tenant      text not null,
  constraint tenant_external_pk primary key (external_id, tenant)
) /*sqlite: without rowid */;
/*sqlite: insert into tenant_external (external_id, tenant) with recursive lines (tenant, line, rest) as (select id, '', external_ids || char(10) from tenant where external_ids <> '' union all select tenant, substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1) from lines where rest <> '') select distinct line, tenant from lines where line <> ''; */
/*postgres: insert into tenant_external (external_id, tenant) select distinct line, id from tenant, unnest(string_to_array(external_ids, chr(10))) line where line <> ''; */
create index tenant_external_tenant on tenant_external (tenant);
