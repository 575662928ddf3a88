-- +goose Up

ALTER TABLE runs ADD COLUMN more TEXT; -- JSON: what later versions tell of the end of a run

PRAGMA user_version = 2;
