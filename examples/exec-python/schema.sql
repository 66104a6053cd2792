-- A club's register, as its platform keeps it. The connector adds tables of its own, whose
-- names begin with tenure_.
create table account (
  name text primary key,
  email text,
  plan text not null default 'free',
  groups text not null default '[]',
  salt blob,
  password blob,
  state text not null default 'active'
);
create table notebook (
  name text primary key,
  title text,
  pages integer not null default 100,
  state text not null default 'active'
);
create table entry (
  id integer primary key,
  notebook text not null,
  class text,
  body text not null
);
