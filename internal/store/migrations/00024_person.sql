-- +goose Up

-- notice.ahead_of (public): the date that it is ahead of; once that has passed, it isn't sent any more.
alter table notice add column ahead_of bigint not null default 0;

-- delivery.person (public): the id of the person whose settings it goes by. held_until (public): until when it was held back last, for quiet hours or a digest.
alter table delivery add column person text not null default '';
alter table delivery add column held_until bigint not null default 0;
create index delivery_person on delivery (person) where state = 'waiting' and person <> '';
create index notice_ahead on notice (ahead_of) where ahead_of > 0;

-- notice_setting: how a person wants mail. principal (public): whose. body (sensitive): which kinds, in which language, when. set_by (sensitive): who set it.
create table notice_setting (
  principal text   not null,
  body      text   not null,
  set_by    text   not null,
  set_at    bigint not null,
  version   bigint not null default 1,
  constraint notice_setting_pk primary key (principal)
);
