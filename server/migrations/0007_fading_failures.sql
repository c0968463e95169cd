-- Failed logins fade: what is stored is how many there were at `failed_at`, and how many they count for now follows.
ALTER TABLE streamlinehub.login_attempts
    ALTER COLUMN failures TYPE double precision,
    ADD COLUMN failed_at timestamptz NOT NULL DEFAULT now();
