-- +goose Up

-- Names that onboardings took with them which had failed before they made the thing.
update resource set live = 0 where live = 1 and state = 'planned' and tenant in (select id from tenant where state = 'closed');
