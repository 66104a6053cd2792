-- What both platforms share: lookups that are nobody's, the history that triggers
-- write, and tables that somebody made without telling.
create schema platform;
create table platform.countries (code text primary key, name text not null);
create table platform.currencies (code text primary key, country text references platform.countries);
insert into platform.countries values ('DE', 'Germany'), ('FR', 'France'), ('JP', '日本');
insert into platform.currencies values ('EUR', 'DE'), ('JPY', 'JP');
create table platform.history (id bigint generated always as identity primary key, body jsonb not null, at timestamptz not null default now());
create schema extra;
create table extra.notes (id int primary key, account text, body text not null, photo bytea);
create table extra.exports (id int primary key, account text not null, file oid, state text not null default 'new');
