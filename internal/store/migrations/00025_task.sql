-- +goose Up

-- task: the checklist of an operation. step: the plan's, '' for a task that was added by hand. task (sensitive): what is to be done; '' for the plan's. owner, added_by, set_by, ended_by (sensitive): persons, or recipients as notices name them. remind_at (public): when its owner is told next; 0 is never.
create table task (
  operation text   not null,
  id        text   not null,
  tenant    text   not null,
  step      text   not null default '',
  task      text   not null default '',
  owner     text   not null default '',
  due_at    bigint not null default 0,
  added_by  text   not null default '',
  added_at  bigint not null,
  set_by    text   not null default '',
  set_at    bigint not null default 0,
  state     text   not null,
  ended_by  text   not null default '',
  ended_at  bigint not null default 0,
  note      text   not null default '',
  remind_at bigint not null default 0,
  constraint task_pk primary key (operation, id)
);
create index task_remind on task (remind_at) where remind_at > 0;

-- departure_link: audience (public): '' is who leaves; stakeholder is somebody of the platform's, who sees the checklist and not the customer's data.
alter table departure_link add column audience text not null default '';
