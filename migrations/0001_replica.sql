-- One replica of one owner: the log, and the state that follows from it.

-- Single facts: owner, log id, this replica's key, cursors. Whose data it is stands here once, and nowhere else.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------------------------------------------- the log

CREATE TABLE origin (
    id     INTEGER PRIMARY KEY,
    origin BLOB NOT NULL UNIQUE,
    key    BLOB NOT NULL
) STRICT;

-- A chain, or a branch that leaves `parent` after its op number `fork_seq`.
CREATE TABLE chain (
    id       INTEGER PRIMARY KEY,
    origin   INTEGER NOT NULL REFERENCES origin,
    parent   INTEGER REFERENCES chain,
    fork_seq INTEGER NOT NULL,
    tip_seq  INTEGER NOT NULL,
    tip_id   BLOB NOT NULL
) STRICT;

CREATE TABLE log (
    pos     INTEGER PRIMARY KEY,
    chain   INTEGER NOT NULL REFERENCES chain,
    seq     INTEGER NOT NULL,
    id      BLOB NOT NULL,
    emptied INTEGER NOT NULL DEFAULT 0, -- how many of its values are erased
    packed  BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX log_chain ON log (chain, seq);

CREATE TRIGGER log_is_append_only_delete BEFORE DELETE ON log
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

-- The one change a row may see: a value dropped by an erase, or a missing one supplied.
CREATE TRIGGER log_is_append_only_update BEFORE UPDATE ON log
WHEN NEW.pos IS NOT OLD.pos OR NEW.chain IS NOT OLD.chain OR NEW.seq IS NOT OLD.seq OR NEW.id IS NOT OLD.id
  OR NEW.emptied = OLD.emptied
  OR (NEW.emptied < OLD.emptied AND NOT EXISTS (SELECT 1 FROM missing WHERE pos = OLD.pos))
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

-- The end of each stretch, its signature, and the rolling hash of the whole log up to it.
CREATE TABLE stretch (
    last      INTEGER PRIMARY KEY REFERENCES log,
    signature BLOB NOT NULL,
    roll      BLOB NOT NULL
) STRICT;
CREATE TRIGGER stretch_is_append_only_delete BEFORE DELETE ON stretch
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER stretch_is_append_only_update BEFORE UPDATE ON stretch
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

-- ------------------------------------------------------------------------------------- what the log says, indexed

-- Which ops are on which node; `what`: 1 writes registers, 2 edits a body.
CREATE TABLE touch (
    node INTEGER NOT NULL,
    pos  INTEGER NOT NULL,
    what INTEGER NOT NULL,
    PRIMARY KEY (node, pos)
) STRICT, WITHOUT ROWID;

-- The ops of each action that needed several: what undo takes back together.
CREATE TABLE grouped (
    id  BLOB NOT NULL,
    pos INTEGER NOT NULL,
    PRIMARY KEY (id, pos)
) STRICT, WITHOUT ROWID;

-- Ops that this version cannot read: kept, relayed, without effect.
CREATE TABLE held (
    pos    INTEGER PRIMARY KEY,
    reason TEXT NOT NULL
) STRICT;

-- Ops that took effect later than they came (held at first, or a value was missing), in the order in which they did, and
-- where the log ended then: who had read the log up to there and not further has not read them.
CREATE TABLE late (
    number INTEGER PRIMARY KEY,
    pos    INTEGER NOT NULL UNIQUE,
    since  INTEGER NOT NULL
) STRICT;

-- Ops that are named but not here yet, with the node to derive again once they are.
CREATE TABLE awaited (
    origin BLOB NOT NULL,
    seq    INTEGER NOT NULL,
    prefix BLOB NOT NULL,
    node   BLOB NOT NULL,
    PRIMARY KEY (origin, seq, prefix, node)
) STRICT, WITHOUT ROWID;

-- Values without effect, whether their op is here or not.
CREATE TABLE erased (
    origin BLOB NOT NULL,
    seq    INTEGER NOT NULL,
    prefix BLOB NOT NULL,
    idx    INTEGER NOT NULL,
    PRIMARY KEY (origin, seq, prefix, idx)
) STRICT, WITHOUT ROWID;

-- Values that repeat another, and are erased with it.
CREATE TABLE repeated (
    origin BLOB NOT NULL,
    seq    INTEGER NOT NULL,
    prefix BLOB NOT NULL,
    idx    INTEGER NOT NULL,
    pos    INTEGER NOT NULL,
    by_idx INTEGER NOT NULL,
    PRIMARY KEY (origin, seq, prefix, idx, pos, by_idx)
) STRICT, WITHOUT ROWID;

-- Values that came without their bytes and without an erase: asked for again.
CREATE TABLE missing (
    pos INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    PRIMARY KEY (pos, idx)
) STRICT, WITHOUT ROWID;

-- -------------------------------------------------------------------------------------------------- the state

-- `state` is the merged state; the other columns repeat what lists are made from.
CREATE TABLE node (
    id         INTEGER PRIMARY KEY,
    uuid       BLOB NOT NULL UNIQUE,
    state      BLOB NOT NULL,
    kind       TEXT,
    status     TEXT,
    do_date    TEXT,
    late_on    TEXT,
    attention  TEXT,
    project    BLOB,
    owner      BLOB,
    tail       INTEGER NOT NULL, -- the last eight hex digits of the id, backwards, for short ids
    hidden     INTEGER NOT NULL,
    conflicted INTEGER NOT NULL,
    -- What lists are ordered by: the day to do it, and the first day on which it is due; '~' is after every day.
    do_key     TEXT NOT NULL AS (coalesce(do_date, '~')) VIRTUAL,
    due_key    TEXT NOT NULL AS (coalesce(min(coalesce(do_date, late_on), coalesce(late_on, do_date)), '~')) VIRTUAL
) STRICT;
CREATE INDEX node_state ON node (kind, status, do_key, id) WHERE hidden = 0;
CREATE INDEX node_kind ON node (kind, do_key, id) WHERE hidden = 0;
CREATE INDEX node_due ON node (kind, due_key, status) WHERE hidden = 0 AND due_key < '~';
CREATE INDEX node_project ON node (project, kind, do_key, id) WHERE hidden = 0 AND project IS NOT NULL;
CREATE INDEX node_owner ON node (owner) WHERE owner IS NOT NULL;
CREATE INDEX node_conflicted ON node (id) WHERE conflicted = 1;
CREATE INDEX node_tail ON node (tail);

CREATE TABLE body (
    node       INTEGER NOT NULL,
    generation BLOB NOT NULL,
    document   BLOB NOT NULL,
    text       TEXT NOT NULL,
    PRIMARY KEY (node, generation)
) STRICT;

-- 256 sums of row hashes, by the last byte of the node id.
CREATE TABLE digest (
    bucket INTEGER PRIMARY KEY,
    sum    BLOB NOT NULL
) STRICT;

-- ------------------------------------------------------------------------- derived: never in the digest, rebuildable

CREATE TABLE tagged (
    tag  BLOB NOT NULL,
    node INTEGER NOT NULL,
    PRIMARY KEY (tag, node)
) STRICT, WITHOUT ROWID;

-- The keys under which a node is found by a link: title, aliases, path, file name.
CREATE TABLE name (
    key  TEXT NOT NULL,
    node INTEGER NOT NULL,
    PRIMARY KEY (key, node)
) STRICT, WITHOUT ROWID;
CREATE INDEX name_node ON name (node);

-- Links as they are written; resolved on reading.
CREATE TABLE link (
    key  TEXT NOT NULL,
    node INTEGER NOT NULL,
    PRIMARY KEY (key, node)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_node ON link (node);

CREATE VIRTUAL TABLE search USING fts5 (
    title, body, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2", prefix = '2 3'
);

-- ------------------------------------------------------------------------------------- this replica's own, not synced

-- What this device last imported from a path: the edits that made up that text.
CREATE TABLE imported (
    vault    TEXT NOT NULL,
    path     BLOB NOT NULL,
    node     BLOB NOT NULL,
    text     BLOB NOT NULL,  -- SHA-256 of the imported text
    versions BLOB NOT NULL,  -- positions of those edits in the log
    merged   TEXT,           -- the text itself, where it was merged into another, so that no edits make it up
    PRIMARY KEY (vault, path)
) STRICT, WITHOUT ROWID;
