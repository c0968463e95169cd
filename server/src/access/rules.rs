//! What each route needs. A route that is not here is refused, and a test names it.

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

use Permission::{AuditRead, EventsWrite, KeysManage, MetricsRead, PipelineRead, RolesManage, UsersManage};
use Rule::{Needs, Open, SignedIn};

/// Every page, form, function of the pages, REST route and socket, by its path.
pub const RULES: &[(&str, Rule)] = &[
    // Pages.
    ("/", Needs(MetricsRead)),
    ("/pipeline", Needs(PipelineRead)),
    ("/profile", SignedIn),
    ("/docs", SignedIn),
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
    ("/keys/create", Needs(KeysManage)),
    ("/keys/revoke", Needs(KeysManage)),
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
    ("/api/ui/pipeline", Needs(PipelineRead)),
    ("/api/ui/health", Needs(PipelineRead)),
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
    ("/api/ui/audit", Needs(AuditRead)),
    // REST.
    ("/api/v1/health", Open),
    ("/api/v1/health/live", Open),
    ("/api/v1/health/ready", Open),
    ("/api/v1/events/{topic}", Needs(EventsWrite)),
    ("/api/v1/analytics/metrics", Needs(MetricsRead)),
    ("/api/v1/analytics/realtime", Needs(MetricsRead)),
    ("/api/v1/analytics/historical", Needs(MetricsRead)),
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

/// The rule of a route, by the path it was registered with.
pub fn rule(path: &str) -> Option<Rule> {
    RULES.iter().find(|(declared, _)| *declared == path).map(|(_, rule)| *rule)
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
