-- Dead letters that were sent again. A letter is named by its place in Kafka; what it holds is in the lake.

-- The replay of all letters that a filter lets through.
CREATE TABLE streamlinehub.replay_batches (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    at         timestamptz NOT NULL DEFAULT now(),
    -- Whoever runs it says so again and again; one that has not for minutes was interrupted.
    alive_at   timestamptz NOT NULL DEFAULT now(),
    user_id    uuid,
    by_name    text        NOT NULL,
    filter     jsonb       NOT NULL,
    state      text        NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed')),
    total      bigint      NOT NULL DEFAULT 0 CHECK (total >= 0),
    sent       bigint      NOT NULL DEFAULT 0 CHECK (sent >= 0),
    skipped    bigint      NOT NULL DEFAULT 0 CHECK (skipped >= 0),
    failed     bigint      NOT NULL DEFAULT 0 CHECK (failed >= 0),
    error      text        NOT NULL DEFAULT ''
);
CREATE INDEX replay_batches_at ON streamlinehub.replay_batches (at DESC);

CREATE TABLE streamlinehub.replays (
    id            bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    topic         text        NOT NULL,
    partition     integer     NOT NULL,
    -- Its place in the partition.
    place         bigint      NOT NULL,
    at            timestamptz NOT NULL DEFAULT now(),
    user_id       uuid,
    by_name       text        NOT NULL,
    edited        boolean     NOT NULL,
    -- SHA-256 of the content before and after.
    hash_before   bytea       NOT NULL,
    hash_after    bytea       NOT NULL,
    -- begun: it is under way, or the server ended before it knew. sent: Kafka has it. unknown: Kafka did not say so.
    outcome       text        NOT NULL DEFAULT 'begun' CHECK (outcome IN ('begun', 'sent', 'unknown')),
    new_partition integer,
    new_place     bigint,
    batch_id      uuid        REFERENCES streamlinehub.replay_batches (id)
);
CREATE INDEX replays_of_letter ON streamlinehub.replays (topic, partition, place);
