-- +goose Up

-- notice.language (public): the tag of the language that its text is written in; "" where that isn't known.
alter table notice add column language text not null default '';
