//! What each route needs. A route that is not here is refused, and a test names it.

use http::Method;
use model::access::Permission;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everybody.
    Open,
    /// Whoever is signed in, or comes with a good API key.
    SignedIn,
    /// Whoever has the permission.
    Needs(Permission),
}

use Permission::{
    AuditRead, EventsWrite, KeysManage, MetricsRead, PipelineRead, QualityRead, QualityReplay, RolesManage, SavedEdit,
    SqlRun, UsersManage,
};
use Rule::{Needs, Open, SignedIn};

/// Every page, form, function of the pages, REST route and socket, by its path.
pub const RULES: &[(&str, Rule)] = &[
    // Pages.
    ("/", Needs(MetricsRead)),
    ("/explore", Needs(MetricsRead)),
    ("/explore.csv", Needs(MetricsRead)),
    ("/pipeline", Needs(PipelineRead)),
    ("/quality", Needs(QualityRead)),
    ("/quality/letters", Needs(QualityRead)),
    ("/quality/letters/{topic}/{partition}/{offset}", Needs(QualityRead)),
    ("/tables", Needs(PipelineRead)),
    ("/tables/{layer}/{name}", Needs(PipelineRead)),
    ("/rows", Needs(PipelineRead)),
    ("/events/{topic}/{partition}/{offset}", Needs(PipelineRead)),
    ("/sql", Needs(SqlRun)),
    ("/profile", SignedIn),
    ("/docs", SignedIn),
    // What is saved. For queries sql:run as well, which server/src/saved sees to.
    ("/saved", Needs(MetricsRead)),
    ("/dashboards", Needs(MetricsRead)),
    ("/dashboards/{id}", Needs(MetricsRead)),
    ("/keys", Needs(KeysManage)),
    ("/admin/users", Needs(UsersManage)),
    ("/admin/roles", Needs(RolesManage)),
    ("/admin/sessions", Needs(UsersManage)),
    ("/admin/audit", Needs(AuditRead)),
    // Pages for those who are not signed in yet, and the forms on them.
    ("/login", Open),
    ("/login/code", Open),
    ("/setup", Open),
    ("/invitation", Open),
    // Forms.
    ("/logout", Open),
    ("/theme", Open),
    ("/profile/name", SignedIn),
    ("/profile/password", SignedIn),
    ("/profile/second-factor/begin", SignedIn),
    ("/profile/second-factor/confirm", SignedIn),
    ("/profile/second-factor/off", SignedIn),
    ("/profile/second-factor/codes", SignedIn),
    ("/profile/sessions/end", SignedIn),
    ("/profile/sessions/end-others", SignedIn),
    ("/sql/export", Needs(SqlRun)),
    ("/keys/create", Needs(KeysManage)),
    ("/keys/revoke", Needs(KeysManage)),
    // To change a letter needs quality:edit as well, which server/src/quality sees to.
    ("/quality/replay", Needs(QualityReplay)),
    ("/quality/replay-all", Needs(QualityReplay)),
    ("/saved/create", Needs(SavedEdit)),
    ("/saved/rename", Needs(SavedEdit)),
    ("/saved/share", Needs(SavedEdit)),
    ("/saved/delete", Needs(SavedEdit)),
    ("/dashboards/create", Needs(SavedEdit)),
    ("/dashboards/rename", Needs(SavedEdit)),
    ("/dashboards/share", Needs(SavedEdit)),
    ("/dashboards/delete", Needs(SavedEdit)),
    ("/dashboards/add", Needs(SavedEdit)),
    ("/dashboards/remove", Needs(SavedEdit)),
    ("/dashboards/move", Needs(SavedEdit)),
    ("/dashboards/width", Needs(SavedEdit)),
    ("/admin/users/invite", Needs(UsersManage)),
    ("/admin/users/role", Needs(UsersManage)),
    ("/admin/users/disable", Needs(UsersManage)),
    ("/admin/users/enable", Needs(UsersManage)),
    ("/admin/users/reset", Needs(UsersManage)),
    ("/admin/users/second-factor-off", Needs(UsersManage)),
    ("/admin/users/end-sessions", Needs(UsersManage)),
    ("/admin/users/unlock", Needs(UsersManage)),
    ("/admin/sessions/end", Needs(UsersManage)),
    ("/admin/roles/save", Needs(RolesManage)),
    ("/admin/roles/delete", Needs(RolesManage)),
    // Functions of the pages, and their socket.
    ("/api/ui/overview", Needs(MetricsRead)),
    ("/api/ui/explore", Needs(MetricsRead)),
    ("/api/ui/explore-values", Needs(MetricsRead)),
    ("/api/ui/pipeline", Needs(PipelineRead)),
    ("/api/ui/health", Needs(PipelineRead)),
    ("/api/ui/ledger", Needs(PipelineRead)),
    ("/api/ui/quality", Needs(QualityRead)),
    ("/api/ui/letters", Needs(QualityRead)),
    ("/api/ui/letter", Needs(QualityRead)),
    ("/api/ui/replays", Needs(QualityRead)),
    ("/api/ui/tables", Needs(PipelineRead)),
    ("/api/ui/table", Needs(PipelineRead)),
    ("/api/ui/rows", Needs(PipelineRead)),
    ("/api/ui/event", Needs(PipelineRead)),
    ("/api/ui/sql-tables", Needs(SqlRun)),
    ("/api/ui/statements", Needs(SqlRun)),
    ("/api/ui/run-sql", Needs(SqlRun)),
    ("/api/ui/live-now", Needs(MetricsRead)),
    ("/api/ui/live", Needs(MetricsRead)),
    ("/api/ui/api-docs", SignedIn),
    ("/api/ui/me", SignedIn),
    ("/api/ui/flash", Open),
    // Comes with the refresh token, when the access token may have ended.
    ("/api/ui/renew", Open),
    ("/api/ui/second-factor", SignedIn),
    ("/api/ui/own-sessions", SignedIn),
    ("/api/ui/sessions", Needs(UsersManage)),
    ("/api/ui/users", Needs(UsersManage)),
    ("/api/ui/roles", Needs(RolesManage)),
    ("/api/ui/api-keys", Needs(KeysManage)),
    ("/api/ui/saved", Needs(MetricsRead)),
    ("/api/ui/dashboards", Needs(MetricsRead)),
    ("/api/ui/dashboard", Needs(MetricsRead)),
    ("/api/ui/audit", Needs(AuditRead)),
    // REST.
    ("/api/v1/health", Open),
    ("/api/v1/health/live", Open),
    ("/api/v1/health/ready", Open),
    ("/api/v1/ledger", Needs(PipelineRead)),
    ("/api/v1/events/{topic}", Needs(EventsWrite)),
    ("/api/v1/analytics/metrics", Needs(MetricsRead)),
    ("/api/v1/analytics/realtime", Needs(MetricsRead)),
    ("/api/v1/analytics/historical", Needs(MetricsRead)),
    ("/api/v1/tables", Needs(PipelineRead)),
    ("/api/v1/tables/{layer}/{name}", Needs(PipelineRead)),
    ("/api/v1/query", Needs(SqlRun)),
    ("/api/v1/analytics/rows", Needs(PipelineRead)),
    ("/api/v1/events/{topic}/{partition}/{offset}", Needs(PipelineRead)),
    ("/api/v1/quality/rules", Needs(QualityRead)),
    ("/api/v1/quality/series", Needs(QualityRead)),
    ("/api/v1/quality/samples", Needs(QualityRead)),
    ("/api/v1/quality/freshness", Needs(QualityRead)),
    ("/api/v1/quality/letters", Needs(QualityRead)),
    ("/api/v1/quality/letters/{topic}/{partition}/{offset}", Needs(QualityRead)),
    ("/api/v1/quality/letters/{topic}/{partition}/{offset}/replay", Needs(QualityReplay)),
    ("/api/v1/quality/replay", Needs(QualityReplay)),
    ("/api/v1/quality/replays", Needs(QualityRead)),
    ("/api/v1/quality/replays/{id}", Needs(QualityRead)),
    ("/api/v1/saved", Needs(MetricsRead)),
    ("/api/v1/saved/{id}", Needs(MetricsRead)),
    ("/api/v1/dashboards", Needs(MetricsRead)),
    ("/api/v1/dashboards/{id}", Needs(MetricsRead)),
    ("/api-docs/openapi.json", SignedIn),
    ("/metrics", Needs(PipelineRead)),
    ("/ws/dashboard", Needs(MetricsRead)),
    ("/api/v1/auth/login", Open),
    ("/api/v1/auth/refresh", Open),
    ("/api/v1/auth/logout", SignedIn),
    ("/api/v1/auth/me", SignedIn),
    ("/api/v1/audit.csv", Needs(AuditRead)),
    // What does not exist, which is no secret.
    ("/api", Open),
    ("/api/{*path}", Open),
];

/// What changes something at a path whose rule above is for reading.
const CHANGES: &[(&str, Rule)] = &[
    ("/api/v1/saved", Needs(SavedEdit)),
    ("/api/v1/saved/{id}", Needs(SavedEdit)),
    ("/api/v1/dashboards", Needs(SavedEdit)),
    ("/api/v1/dashboards/{id}", Needs(SavedEdit)),
];

/// Forms that change who may do what. They ask again who sends them, see [`super::confirm`]; those of one's own second factor
/// and password have a field for it.
const CONFIRMED: [&str; 13] = [
    "/keys/create",
    "/keys/revoke",
    "/admin/users/invite",
    "/admin/users/role",
    "/admin/users/disable",
    "/admin/users/enable",
    "/admin/users/reset",
    "/admin/users/second-factor-off",
    "/admin/users/end-sessions",
    "/admin/users/unlock",
    "/admin/sessions/end",
    "/admin/roles/save",
    "/admin/roles/delete",
];

/// The rule of a route, by the path it was registered with and the method.
pub fn rule(path: &str, method: &Method) -> Option<Rule> {
    let changes = CHANGES.iter().filter(|_| !method.is_safe());
    changes.chain(RULES).find(|(declared, _)| *declared == path).map(|(_, rule)| *rule)
}

/// Whether the form asks again who sends it.
pub fn asks_again(path: &str) -> bool {
    CONFIRMED.contains(&path)
}

/// The kind of a route, which decides in what form it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pages and forms: a person looks at what comes.
    Page,
    /// Functions and sockets of the pages.
    Function,
    Rest,
}

pub fn kind(path: &str) -> Kind {
    if path.starts_with("/api/ui/") {
        Kind::Function
    } else if ["/api", "/metrics"].contains(&path)
        || ["/api/", "/api-docs/", "/ws/"].iter().any(|start| path.starts_with(start))
    {
        Kind::Rest
    } else {
        Kind::Page
    }
}
