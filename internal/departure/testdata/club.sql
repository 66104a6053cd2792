-- A club whose data ends in every way that there is, in PostgreSQL.
create schema club;
create table club.customers (id bigint primary key, tenant_key text not null, email text not null, phone text, ref uuid not null, born date not null, profile jsonb, labels text[], photo bytea, unique (tenant_key, email));
create table club.contacts (id bigint primary key, customer_id bigint not null references club.customers, email text not null, note text);
create table club.orders (id bigint primary key, tenant_key text not null, customer_id bigint references club.customers, placed date not null, region text not null, total numeric(12,2) not null, note text);
create table club.visits (id bigint primary key, tenant_key text, customer_id bigint references club.customers, name text, born date, postcode text, income bigint, ip text, diagnosis text, form jsonb);
create table club.visit_notes (id bigint primary key, visit_id bigint not null references club.visits, body text);
create table club.invoices (id bigint primary key, tenant_key text not null, customer_id bigint not null references club.customers, number text not null, total numeric(12,2) not null);
create table club.letters (id bigint primary key, tenant_key text not null, body text not null);
create table club.secrets (id bigint primary key, tenant_key text not null, body text not null);
create table club.sales (month date not null, region text not null, orders bigint not null, revenue numeric(14,2) not null, unique (month, region));
insert into club.sales values ('2025-01-01', 'north', 1, 0.01), ('2025-02-01', 'south', 2, 10.00);
