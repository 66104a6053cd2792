-- +goose Up

-- tenant.salt (secret): goes into what the log keeps of the tenant's rows, and is blanked when they are forgotten, so that nobody
-- can try names against the log afterwards.
alter table tenant add column salt text not null default '';
