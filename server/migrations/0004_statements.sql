-- The SQL statements that people ran, for themselves; the audit log has its own, shortened.
CREATE TABLE streamlinehub.statements (
    id      bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    user_id uuid        NOT NULL REFERENCES streamlinehub.users (id) ON DELETE CASCADE,
    sql     text        NOT NULL CHECK (length(sql) <= 65536),
    at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX statements_of_user ON streamlinehub.statements (user_id, id DESC);
