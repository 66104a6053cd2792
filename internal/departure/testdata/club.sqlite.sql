-- A club whose data ends in every way that there is, in SQLite.
create table customers (id integer primary key, tenant_key text not null, email text not null, phone text, ref text not null, born date not null, profile json, labels json, photo blob, unique (tenant_key, email));
create table contacts (id integer primary key, customer_id integer not null references customers, email text not null, note text);
create table orders (id integer primary key, tenant_key text not null, customer_id integer references customers, placed date not null, region text not null, total integer not null, note text);
create table visits (id integer primary key, tenant_key text, customer_id integer references customers, name text, born date, postcode text, income integer, ip text, diagnosis text, form json);
create table visit_notes (id integer primary key, visit_id integer not null references visits, body text);
create table invoices (id integer primary key, tenant_key text not null, customer_id integer not null references customers, number text not null, total integer not null);
create table letters (id integer primary key, tenant_key text not null, body text not null);
create table secrets (id integer primary key, tenant_key text not null, body text not null);
create table sales (month date not null, region text not null, orders integer not null, revenue integer not null, unique (month, region));
insert into sales values ('2025-01-01', 'north', 1, 1), ('2025-02-01', 'south', 2, 1000);
