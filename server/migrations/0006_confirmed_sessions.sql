-- When the person behind a session last showed again who they are, which changing rights asks for.
ALTER TABLE streamlinehub.sessions ADD COLUMN confirmed_at timestamptz;
