-- What people keep: views, SQL queries, and dashboards made of views. The program bounds how much each person keeps.

CREATE TABLE streamlinehub.saved (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    owner_id   uuid        NOT NULL REFERENCES streamlinehub.users (id) ON DELETE CASCADE,
    kind       text        NOT NULL CHECK (kind IN ('view', 'query')),
    name       text        NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    -- Of a view what stands after the question mark in the URL of the page Explore; of a query the SQL.
    text       text        NOT NULL CHECK (octet_length(text) <= 16384),
    -- Everybody sees it; only the owner changes it.
    shared     boolean     NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- For those who refer to views only.
    UNIQUE (id, kind)
);
CREATE INDEX saved_of_owner ON streamlinehub.saved (owner_id);
CREATE INDEX saved_shared ON streamlinehub.saved (lower(name)) WHERE shared;

CREATE TABLE streamlinehub.dashboards (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    owner_id   uuid        NOT NULL REFERENCES streamlinehub.users (id) ON DELETE CASCADE,
    name       text        NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    shared     boolean     NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX dashboards_of_owner ON streamlinehub.dashboards (owner_id);
CREATE INDEX dashboards_shared ON streamlinehub.dashboards (lower(name)) WHERE shared;

-- A tile goes with the view that it shows.
CREATE TABLE streamlinehub.dashboard_tiles (
    id           uuid     PRIMARY KEY DEFAULT gen_random_uuid(),
    dashboard_id uuid     NOT NULL REFERENCES streamlinehub.dashboards (id) ON DELETE CASCADE,
    view_id      uuid     NOT NULL,
    kind         text     NOT NULL DEFAULT 'view' CHECK (kind = 'view'),
    width        text     NOT NULL CHECK (width IN ('half', 'full')),
    -- Their order, with gaps where views were deleted. There are at most 24.
    position     smallint NOT NULL CHECK (position BETWEEN 0 AND 23),
    UNIQUE (dashboard_id, position),
    FOREIGN KEY (view_id, kind) REFERENCES streamlinehub.saved (id, kind) ON DELETE CASCADE
);
CREATE INDEX dashboard_tiles_of_view ON streamlinehub.dashboard_tiles (view_id);
