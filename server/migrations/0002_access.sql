-- Users, their roles, sessions and keys, and the audit log. Secrets are stored hashed, or sealed with a key that is not here.

CREATE TABLE streamlinehub.roles (
    name                   text     PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9-]{1,39}$'),
    description            text     NOT NULL DEFAULT '' CHECK (length(description) <= 200),
    built_in               boolean  NOT NULL DEFAULT false,
    -- For built-in roles the program's own table counts, not this.
    permissions            text[]   NOT NULL DEFAULT '{}',
    requires_second_factor boolean  NOT NULL DEFAULT false
);

CREATE TABLE streamlinehub.users (
    id                  uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    -- In lower case.
    email               text        NOT NULL UNIQUE CHECK (length(email) BETWEEN 3 AND 254),
    name                text        NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    role                text        NOT NULL REFERENCES streamlinehub.roles (name),
    -- Argon2id, in the PHC format. Null until the one-time link was used.
    password_hash       text,
    password_changed_at timestamptz,
    disabled_at         timestamptz,
    -- The secret of the authenticator, sealed; it counts only once totp_on is set.
    totp_secret         bytea,
    totp_on             boolean     NOT NULL DEFAULT false,
    -- The time step of the last code that was taken: no code counts twice.
    totp_last_step      bigint      NOT NULL DEFAULT 0,
    last_login_at       timestamptz,
    created_at          timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE streamlinehub.recovery_codes (
    user_id   uuid  NOT NULL REFERENCES streamlinehub.users (id) ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    PRIMARY KEY (user_id, code_hash)
);

-- Links that do one thing once: set up the first administrator, or choose a password.
CREATE TABLE streamlinehub.one_time_links (
    token_hash bytea       PRIMARY KEY,
    -- Null: the first administrator, who is not there yet.
    user_id    uuid        REFERENCES streamlinehub.users (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

CREATE TABLE streamlinehub.sessions (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id      uuid        NOT NULL REFERENCES streamlinehub.users (id) ON DELETE CASCADE,
    address      text        NOT NULL,
    user_agent   text        NOT NULL,
    began_at     timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    -- However much it is used.
    expires_at   timestamptz NOT NULL,
    ended_at     timestamptz
);
CREATE INDEX sessions_of_user ON streamlinehub.sessions (user_id) WHERE ended_at IS NULL;

-- The refresh tokens of a session, of which only the newest counts. One that is used twice ends the session.
CREATE TABLE streamlinehub.refresh_tokens (
    token_hash bytea       PRIMARY KEY,
    session_id uuid        NOT NULL REFERENCES streamlinehub.sessions (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_tokens_of_session ON streamlinehub.refresh_tokens (session_id);

CREATE TABLE streamlinehub.api_keys (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id      uuid        NOT NULL REFERENCES streamlinehub.users (id) ON DELETE CASCADE,
    name         text        NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    prefix       text        NOT NULL,
    key_hash     bytea       NOT NULL UNIQUE,
    permissions  text[]      NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at   timestamptz
);

-- Attempts to log in, by account (there or not) and by network address.
CREATE TABLE streamlinehub.login_attempts (
    subject       text        PRIMARY KEY,
    failures      integer     NOT NULL DEFAULT 0,
    -- Attempts that were begun and of which nothing is known yet.
    pending       integer     NOT NULL DEFAULT 0,
    last_at       timestamptz NOT NULL DEFAULT now(),
    blocked_until timestamptz
);

CREATE TABLE streamlinehub.audit_log (
    number   bigint      PRIMARY KEY,
    at       timestamptz NOT NULL,
    actor_id uuid,
    actor    text        NOT NULL,
    address  text        NOT NULL,
    action   text        NOT NULL,
    target   text        NOT NULL,
    outcome  text        NOT NULL CHECK (outcome IN ('success', 'failure', 'refused')),
    detail   text        NOT NULL,
    -- HMAC-SHA-256 over this line and the mac of the line before; key_id names the key, which is not in the database.
    key_id   text        NOT NULL,
    mac      bytea       NOT NULL
);
CREATE INDEX audit_log_at ON streamlinehub.audit_log (at);

CREATE FUNCTION streamlinehub.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON streamlinehub.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION streamlinehub.refuse_change();

-- Every web process hears at once when somebody's rights change. The payload is the user's id, or `*` for everybody.
CREATE FUNCTION streamlinehub.announce_access() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('streamlinehub_access', CASE TG_TABLE_NAME
        WHEN 'roles' THEN '*'
        WHEN 'users' THEN coalesce(to_jsonb(OLD) ->> 'id', '*')
        ELSE coalesce(to_jsonb(OLD) ->> 'user_id', '*')
    END);
    RETURN NULL;
END
$$;
CREATE TRIGGER announce AFTER UPDATE OR DELETE ON streamlinehub.roles
    FOR EACH ROW EXECUTE FUNCTION streamlinehub.announce_access();
CREATE TRIGGER announce AFTER UPDATE OF role, disabled_at, totp_on, email, name OR DELETE ON streamlinehub.users
    FOR EACH ROW EXECUTE FUNCTION streamlinehub.announce_access();
CREATE TRIGGER announce AFTER UPDATE OF ended_at, expires_at OR DELETE ON streamlinehub.sessions
    FOR EACH ROW EXECUTE FUNCTION streamlinehub.announce_access();
CREATE TRIGGER announce AFTER UPDATE OF revoked_at, expires_at, permissions OR DELETE ON streamlinehub.api_keys
    FOR EACH ROW EXECUTE FUNCTION streamlinehub.announce_access();
