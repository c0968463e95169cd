CREATE SCHEMA IF NOT EXISTS streamlinehub;

-- Which data sets were loaded, so that a restart does not load them again.
CREATE TABLE streamlinehub.replay (
    dataset     text        PRIMARY KEY,
    -- The moment at which the data set's last day was placed; all its times are relative to it.
    anchor      timestamptz NOT NULL,
    -- running: events are being produced. sent: all are in Kafka. done: all are in Gold.
    state       text        NOT NULL CHECK (state IN ('running', 'sent', 'done')),
    sent        bigint      NOT NULL DEFAULT 0 CHECK (sent >= 0),
    total       bigint      NOT NULL DEFAULT 0 CHECK (total >= 0),
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
