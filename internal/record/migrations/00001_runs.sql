-- +goose Up

-- A run: what was asked for, by whom, and how it ended. Times are microseconds
-- since 1970, durations microseconds.
CREATE TABLE runs (
	seq INTEGER PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,          -- ULID
	kind TEXT NOT NULL,               -- the command of fleet: run, push, ...
	command TEXT NOT NULL,            -- what was sent to each host
	pattern TEXT NOT NULL,
	argv TEXT NOT NULL,               -- JSON: the words behind "fleet"
	dir TEXT NOT NULL,                -- working directory
	environ TEXT NOT NULL,            -- JSON: FLEET_ variables that change what the words mean
	user TEXT NOT NULL,
	controller TEXT NOT NULL,         -- the machine that fleet ran on
	version TEXT NOT NULL,
	rerun_of TEXT NOT NULL,           -- id of a run, or empty
	detached INTEGER NOT NULL,
	redacted INTEGER NOT NULL,        -- argv or command held a secret, which is not here
	hosts INTEGER NOT NULL,
	names BLOB NOT NULL,              -- their names by position: lines, compressed by DEFLATE
	began INTEGER NOT NULL,
	ended INTEGER,                    -- NULL while it runs, or where it died and nobody looked since
	wall INTEGER NOT NULL DEFAULT 0,
	ending TEXT NOT NULL DEFAULT '',  -- done, halted, deadline, interrupted, crashed
	counts TEXT NOT NULL DEFAULT '{}',-- JSON: hosts by outcome
	missing TEXT NOT NULL DEFAULT ''  -- what could not be kept, in words
);
CREATE INDEX runs_open ON runs (seq) WHERE ended IS NULL;

-- Positions of hosts that were begun: written, durably, before a host is sent its
-- command. The ranges of a run go when it has ended.
CREATE TABLE begun (
	run INTEGER NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	PRIMARY KEY (run, first)
) WITHOUT ROWID;

-- How one host ended.
CREATE TABLE results (
	run INTEGER NOT NULL,
	pos INTEGER NOT NULL,
	outcome TEXT NOT NULL,
	kind TEXT,                        -- of the cause; NULL for ok
	stage TEXT,
	text TEXT,
	detail TEXT,
	exit INTEGER,
	signal TEXT,
	out INTEGER,                      -- outputs.id; NULL for no output
	err INTEGER,
	out_bytes INTEGER NOT NULL,       -- all that the host wrote
	err_bytes INTEGER NOT NULL,
	flags INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	connect INTEGER NOT NULL,
	took INTEGER NOT NULL,
	at INTEGER NOT NULL,
	more TEXT,                        -- JSON: what later versions tell
	PRIMARY KEY (run, pos)
) WITHOUT ROWID;

-- What hosts wrote, each content once.
CREATE TABLE outputs (
	id INTEGER PRIMARY KEY,
	sum BLOB NOT NULL UNIQUE,         -- SHA-256
	size INTEGER NOT NULL,            -- bytes, not compressed
	refs INTEGER NOT NULL,            -- streams of results that are this
	coding INTEGER NOT NULL,          -- of data: 0 as it is, 1 DEFLATE
	data BLOB NOT NULL                -- the first piece
);
CREATE TABLE pieces (
	output INTEGER NOT NULL,
	n INTEGER NOT NULL,               -- from 1
	coding INTEGER NOT NULL,
	data BLOB NOT NULL,
	PRIMARY KEY (output, n)
);

-- What fleet had to say during a run.
CREATE TABLE notes (
	run INTEGER NOT NULL,
	at INTEGER NOT NULL,
	text TEXT NOT NULL
);
CREATE INDEX notes_run ON notes (run);

PRAGMA user_version = 1;
