-- customers and what is known of them
create table if not exists addresses (id int primary key, street text not null, country varchar(10) not null, point json, foreign key (country) references SHARED.countries (code));
create table if not exists customers (
  id int primary key, tenant_key varchar(80) not null, name varchar(200) not null, address_id int not null, photo blob,
  short varchar(20) as (left(name, 20)) stored, unique (tenant_key, id), index (short), fulltext (name), foreign key (address_id) references addresses (id)
);
create table if not exists customer_tags (customer_id int not null, tag varchar(100) not null, primary key (customer_id, tag), foreign key (customer_id) references customers (id) on delete cascade);
create table if not exists consents (id int primary key, customer_id int not null, text text not null, foreign key (customer_id) references customers (id) on delete restrict on update cascade);
create table if not exists staff (id int primary key, tenant_key varchar(80), name text not null, manager_id int, store_id int, unique (tenant_key, id), foreign key (manager_id) references staff (id));
create table if not exists stores (id int primary key, tenant_key varchar(80), city text not null, manager int, foreign key (manager) references staff (id) on delete set null);
alter table staff add constraint staff_store foreign key if not exists staff_store (store_id) references stores (id);
create table if not exists documents (id int primary key, tenant_key varchar(80) character set latin1 not null, title text not null, body json, raw longblob) default character set utf8mb4 collate utf8mb4_unicode_ci;
create table if not exists chains (id int primary key, tenant_key varchar(80) not null, step text not null, before_id int, foreign key (before_id) references chains (id));

-- the catalogue
create table if not exists categories (id int primary key, tenant_key varchar(80) not null, title text not null, parent int, foreign key (parent) references categories (id) on delete cascade);
create table if not exists products (id int primary key, tenant_key varchar(80) not null, category_id int, title text not null, cents int not null check (cents > 0), gross int as (cents * 119 / 100) stored, foreign key (category_id) references categories (id) on delete set null on update cascade);
create table if not exists product_images (id int primary key, product_id int not null, pixels mediumblob not null, caption text, foreign key (product_id) references products (id));
create table if not exists reviews (id int primary key, product_id int not null, author text not null, moderated_by int, foreign key (product_id) references products (id) on delete cascade, foreign key (moderated_by) references staff (id) on delete set null);
create table if not exists templates (id int primary key, tenant_key varchar(80) not null, title text not null);
create table if not exists pages (id int primary key, tenant_key varchar(80) not null, template_id int, body text not null, fulltext (body), foreign key (template_id) references templates (id) on delete set null);
create table if not exists bundles (id int primary key, tenant_key varchar(80) not null, title text not null, main_item int);
create table if not exists bundle_items (id int primary key, bundle_id int not null, note text, foreign key (bundle_id) references bundles (id));
alter table bundles add constraint bundles_main foreign key if not exists bundles_main (main_item) references bundle_items (id);

-- what happens
create table if not exists orders (id int primary key, tenant_key varchar(80) not null, customer_id int not null, ship_to int, currency varchar(10), state enum ('open', 'paid', 'gone') not null default 'open', remark text,
  foreign key (customer_id) references customers (id), foreign key (ship_to) references addresses (id), foreign key (currency) references SHARED.currencies (code));
create table if not exists order_lines (order_id int not null, n int not null, product_id int, text text not null, primary key (order_id, n), foreign key (order_id) references orders (id), foreign key (product_id) references products (id) on delete set null);
create table if not exists shipments (id int primary key, order_id int not null, parcel text not null, foreign key (order_id) references orders (id));
create table if not exists shipment_scans (shipment_id int not null, n int not null, at date not null, place text not null, primary key (shipment_id, n), foreign key (shipment_id) references shipments (id));
create table if not exists carts (id int primary key, tenant_key varchar(80) not null, content json not null);
create table if not exists cart_log (id int auto_increment primary key, tenant_key varchar(80) not null, what text not null);
create or replace trigger carts_gone after delete on carts for each row insert into cart_log (tenant_key, what) values (old.tenant_key, old.content);
create table if not exists events (id int not null, tenant_key varchar(80) not null, kind text not null, body json, primary key (id, tenant_key)) partition by list columns (tenant_key) (partition acme values in ('acme'), partition acme_2 values in ('acme-2'), partition others default);
create table if not exists sessions (id int primary key, tenant_key varbinary(80) not null, agent text not null);
create table if not exists webhooks (id int primary key, tenant_key varchar(80), url text not null, tried_by int, foreign key (tried_by) references sessions (id) on delete set null);

-- what the law keeps
create table if not exists invoices (id int primary key, tenant_key varchar(80) not null, order_id int, number varchar(100) not null unique, cents int not null check (cents > 0), foreign key (order_id) references orders (id) on delete set null);
create table if not exists invoice_lines (id int primary key, invoice_id int not null, text text not null, foreign key (invoice_id) references invoices (id) on delete cascade);
create table if not exists payments (id int primary key, invoice_id int not null, iban text not null, foreign key (invoice_id) references invoices (id));
create table if not exists ledger (id int not null, at date not null, tenant_key varchar(80) not null, text text not null, primary key (id, at)) partition by range (year(at)) subpartition by hash (id) subpartitions 2 (partition old values less than (2025), partition new values less than maxvalue);

create or replace trigger products_gone after delete on products for each row insert into SHARED.history (body) values (json_object('tenant_key', old.tenant_key, 'was', old.title));
create or replace trigger products_changed after update on products for each row insert into SHARED.history (body) values (json_object('tenant_key', old.tenant_key, 'was', old.title));
create or replace trigger orders_seen before delete on orders for each row set @seen = 1;
create or replace view sales as select product_id, text, count(*) as n from order_lines group by 1, 2;
