-- What both platforms share: lookups that are nobody's, the history that triggers
-- write, and tables that somebody made without telling.
create database platform;
create table platform.countries (code varchar(10) primary key, name text not null);
create table platform.currencies (code varchar(10) primary key, country varchar(10), foreign key (country) references platform.countries (code));
insert into platform.countries values ('DE', 'Germany'), ('FR', 'France'), ('JP', '日本');
insert into platform.currencies values ('EUR', 'DE'), ('JPY', 'JP');
create table platform.history (id bigint auto_increment primary key, body json not null, at timestamp not null default current_timestamp);
create database extra;
create table extra.notes (id int primary key, account varchar(80), body text not null, photo blob);
create table extra.exports (id int primary key, account varchar(80) not null, file longblob, state varchar(20) not null default 'new', index (state));
