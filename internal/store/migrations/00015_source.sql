-- +goose Up

-- blueprint_source: the files that revisions were submitted as, so that what is wrong with one can be said with its line. file (sensitive): its name. source (sensitive): its text.
create table blueprint_source (
  digest text not null,
  file   text not null,
  source text not null,
  constraint blueprint_source_pk primary key (digest)
);
