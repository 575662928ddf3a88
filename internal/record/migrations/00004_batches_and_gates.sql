-- +goose Up

-- The batches of a run that has more than one: hosts by position. A batch is one
-- row, unless its hosts do not follow each other.
CREATE TABLE batches (
	run INTEGER NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	batch INTEGER NOT NULL,           -- from 1
	batches INTEGER NOT NULL,         -- that were planned
	at INTEGER NOT NULL,
	PRIMARY KEY (run, first)
) WITHOUT ROWID;

-- What stood between two batches, part by part.
CREATE TABLE gates (
	run INTEGER NOT NULL,
	n INTEGER NOT NULL,               -- in the order in which they ended, from 1
	batch INTEGER NOT NULL,           -- after which it stood
	batches INTEGER NOT NULL,
	gate TEXT NOT NULL,               -- canary, pause, gate, confirm
	text TEXT NOT NULL,               -- of a gate: the command
	host TEXT NOT NULL,               -- on which that ran; empty: on the controller
	output BLOB,                      -- what it wrote, without secrets
	cut INTEGER NOT NULL,             -- that is only the end of it
	kind TEXT,                        -- of the cause; NULL: the next batch could begin
	stage TEXT,
	cause TEXT,
	took INTEGER NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (run, n)
) WITHOUT ROWID;

PRAGMA user_version = 4;
