-- +goose Up

-- audit_head.seal (public): a digest of the log's size and root under a key of the keystore, taken with each commit: who has the store alone can't write the log on.
alter table audit_head add column seal text not null default '';
