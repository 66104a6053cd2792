-- The support desk, in SQLite: tickets, and indexes over their words in each of
-- FTS5's four forms.
create table if not exists tickets (id integer primary key, KEY text not null, title text not null, body text not null, scan blob, earlier integer references tickets on delete set null);
create table if not exists answers (id integer primary key, ticket_id integer not null references tickets on delete cascade, body text not null);
create table if not exists past (id integer primary key, KEY text not null, was text not null);
create virtual table if not exists watched using fts5 (title, body, content='tickets', content_rowid='id');
create virtual table if not exists own using fts5 (KEY unindexed, body);
create virtual table if not exists bare using fts5 (body, content='');
create virtual table if not exists light using fts5 (body, content='', contentless_delete=1);
create trigger if not exists tickets_in after insert on tickets begin
  insert into watched (rowid, title, body) values (new.id, new.title, new.body);
  insert into own (rowid, KEY, body) values (new.id, new.KEY, new.body);
  insert into bare (rowid, body) values (new.id, new.body);
  insert into light (rowid, body) values (new.id, new.body);
end;
create trigger if not exists tickets_changed after update on tickets begin
  insert into watched (watched, rowid, title, body) values ('delete', old.id, old.title, old.body);
  insert into bare (bare, rowid, body) values ('delete', old.id, old.body);
  delete from light where rowid = old.id;
  insert into watched (rowid, title, body) values (new.id, new.title, new.body);
  insert into bare (rowid, body) values (new.id, new.body);
  insert into light (rowid, body) values (new.id, new.body);
end;
create trigger if not exists tickets_out after delete on tickets begin
  insert into watched (watched, rowid, title, body) values ('delete', old.id, old.title, old.body);
  insert into bare (bare, rowid, body) values ('delete', old.id, old.body);
  delete from light where rowid = old.id;
  insert into past (KEY, was) values (old.KEY, old.title);
end;
