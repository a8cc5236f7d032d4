-- The controller's store, first version. Times are milliseconds of the Unix epoch; documents are JSON.

-- Which installation this is, and which life of its store. One row.
CREATE TABLE identity (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    installation  TEXT    NOT NULL,
    incarnation   TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL
);

-- Files that a topology's reading consumed, each content once.
CREATE TABLE files (
    hash    TEXT PRIMARY KEY,
    content BLOB NOT NULL
);

-- What was wished of labs, append only. Numbers are never given twice.
CREATE TABLE revisions (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    lab           TEXT    NOT NULL,
    wish          TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL
);

CREATE INDEX revisions_of_lab ON revisions (lab, number);

-- Specs, each once: blueprints share those that a change did not touch.
CREATE TABLE specs (
    hash TEXT PRIMARY KEY,
    body TEXT NOT NULL
);

-- Blueprints without their specs.
CREATE TABLE blueprints (
    digest        TEXT    PRIMARY KEY,
    number        INTEGER NOT NULL,
    parent        TEXT,
    body          TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL
);

CREATE TABLE blueprint_specs (
    blueprint TEXT NOT NULL REFERENCES blueprints (digest) ON DELETE CASCADE,
    host      TEXT NOT NULL,
    spec      TEXT NOT NULL REFERENCES specs (hash),
    PRIMARY KEY (blueprint, host)
);

CREATE INDEX blueprint_specs_by_spec ON blueprint_specs (spec);

-- The blueprint that is handed out. At most one row.
CREATE TABLE target (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    blueprint TEXT NOT NULL REFERENCES blueprints (digest)
);

-- The latest report of each host.
CREATE TABLE reports (
    host           TEXT    PRIMARY KEY,
    body           TEXT    NOT NULL,
    verified_at_ms INTEGER NOT NULL
);

-- Repairs that are in the journal; a host may tell one twice.
CREATE TABLE repairs (
    host   TEXT    NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (host, number)
) WITHOUT ROWID;

-- What happened, append only.
CREATE TABLE journal (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms   INTEGER NOT NULL,
    lab     TEXT,
    kind    TEXT NOT NULL,
    subject TEXT,
    message TEXT NOT NULL,
    detail  TEXT NOT NULL
);

CREATE INDEX journal_of_lab ON journal (lab, id);
