-- A club whose data ends in every way that there is, in MariaDB.
create database club;
create table club.customers (id bigint primary key, tenant_key varchar(80) not null, email varchar(120) not null, phone text, ref uuid not null, born date not null, profile json, labels json, photo longblob, unique (tenant_key, email));
create table club.contacts (id bigint primary key, customer_id bigint not null references club.customers (id), email text not null, note text);
create table club.orders (id bigint primary key, tenant_key varchar(80) not null, customer_id bigint references club.customers (id), placed date not null, region varchar(40) not null, total decimal(12,2) not null, note text);
create table club.visits (id bigint primary key, tenant_key varchar(80), customer_id bigint references club.customers (id), name text, born date, postcode text, income bigint, ip text, diagnosis text, form json);
create table club.visit_notes (id bigint primary key, visit_id bigint not null references club.visits (id), body text);
create table club.invoices (id bigint primary key, tenant_key varchar(80) not null, customer_id bigint not null references club.customers (id), number text not null, total decimal(12,2) not null);
create table club.letters (id bigint primary key, tenant_key varchar(80) not null, body text not null);
create table club.secrets (id bigint primary key, tenant_key varchar(80) not null, body text not null);
create table club.sales (month date not null, region varchar(40) not null, orders bigint not null, revenue decimal(14,2) not null, unique (month, region));
insert into club.sales values ('2025-01-01', 'north', 1, 0.01), ('2025-02-01', 'south', 2, 10.00);
