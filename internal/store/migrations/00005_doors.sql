-- +goose Up

-- hold.untold (public): 1 when the customer may not know that anything is kept for a legal reason.
alter table hold add column untold smallint not null default 0;

insert into meta (key, value) values ('principal_epoch', '0');
