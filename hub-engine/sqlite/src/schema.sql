-- Version 1 of the file. docs/store.md explains it, with examples. Times are milliseconds since 1970, UTC.

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What changes of a job. `serial` is the order of submission.
CREATE TABLE jobs (
    serial INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    -- The first twelve bytes of the id, which the ids of the job's tasks share.
    family BLOB NOT NULL UNIQUE,
    key TEXT,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    tasks INTEGER NOT NULL,
    submitted_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    msg TEXT,
    -- The name of the first task that failed, and the beginning of its message.
    failed_task TEXT,
    failed_msg TEXT,
    -- Last, since it can be long, and what stands behind is read through it.
    output TEXT
) STRICT;

CREATE INDEX jobs_by_key ON jobs (key) WHERE key IS NOT NULL;
CREATE INDEX jobs_by_name ON jobs (name, serial);
CREATE INDEX jobs_by_status ON jobs (status, serial);
CREATE INDEX jobs_unfinished ON jobs (serial) WHERE ended_at IS NULL;
CREATE INDEX jobs_finished ON jobs (serial) WHERE ended_at IS NOT NULL;

-- What was submitted, unchanged. Apart from `jobs`, whose rows are rewritten when they change.
CREATE TABLE documents (
    job INTEGER PRIMARY KEY REFERENCES jobs (serial),
    document TEXT NOT NULL
) STRICT;

-- Tasks that something has happened to; one that is not here is PENDING. `position` counts from 0.
CREATE TABLE tasks (
    job INTEGER NOT NULL REFERENCES jobs (serial),
    position INTEGER NOT NULL,
    status TEXT NOT NULL,
    attempt INTEGER,
    incarnation INTEGER,
    -- Whether the broker has confirmed that it holds this issue.
    confirmed INTEGER NOT NULL,
    -- Whether the task was launched, and its result is to come from outside.
    launched INTEGER NOT NULL,
    deaths INTEGER NOT NULL,
    worker TEXT,
    submitted_at INTEGER,
    started_at INTEGER,
    ended_at INTEGER,
    msg TEXT,
    error TEXT,
    log TEXT,
    data TEXT,
    PRIMARY KEY (job, position)
) STRICT, WITHOUT ROWID;

-- For people: tasks with their names and ids. A task's id is its job's with the last four bytes moved on by
-- its position plus one.
CREATE VIEW task_list AS
SELECT
    jobs.id AS job_id,
    substr(jobs.id, 1, 28) || printf('%08x', (
        (instr('0123456789abcdef', substr(jobs.id, 29, 1)) - 1 << 28)
        + (instr('0123456789abcdef', substr(jobs.id, 30, 1)) - 1 << 24)
        + (instr('0123456789abcdef', substr(jobs.id, 31, 1)) - 1 << 20)
        + (instr('0123456789abcdef', substr(jobs.id, 32, 1)) - 1 << 16)
        + (instr('0123456789abcdef', substr(jobs.id, 33, 1)) - 1 << 12)
        + (instr('0123456789abcdef', substr(jobs.id, 34, 1)) - 1 << 8)
        + (instr('0123456789abcdef', substr(jobs.id, 35, 1)) - 1 << 4)
        + (instr('0123456789abcdef', substr(jobs.id, 36, 1)) - 1)
        + tasks.position + 1) & 0xffffffff) AS id,
    json_extract(documents.document, '$.tasks[' || tasks.position || '].name') AS name,
    tasks.status, tasks.attempt, tasks.worker, tasks.deaths,
    datetime(tasks.submitted_at / 1000, 'unixepoch') AS submitted,
    datetime(tasks.started_at / 1000, 'unixepoch') AS started,
    datetime(tasks.ended_at / 1000, 'unixepoch') AS ended,
    tasks.msg, tasks.error, tasks.log, tasks.data
FROM tasks JOIN jobs ON jobs.serial = tasks.job JOIN documents ON documents.job = tasks.job;
