//! Who may do what: permissions, the built-in roles, and what the pages show of users, sessions, keys and the audit log.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Something that a person or a program may be allowed to do. This is the only list of them: routes declare the one they
/// need, roles and API keys are made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Permission {
    #[serde(rename = "metrics:read")]
    MetricsRead,
    #[serde(rename = "saved:edit")]
    SavedEdit,
    #[serde(rename = "pipeline:read")]
    PipelineRead,
    #[serde(rename = "pipeline:operate")]
    PipelineOperate,
    #[serde(rename = "quality:read")]
    QualityRead,
    #[serde(rename = "quality:replay")]
    QualityReplay,
    #[serde(rename = "quality:edit")]
    QualityEdit,
    #[serde(rename = "events:write")]
    EventsWrite,
    #[serde(rename = "sql:run")]
    SqlRun,
    #[serde(rename = "keys:manage")]
    KeysManage,
    #[serde(rename = "users:manage")]
    UsersManage,
    #[serde(rename = "roles:manage")]
    RolesManage,
    #[serde(rename = "audit:read")]
    AuditRead,
}

impl Permission {
    pub const ALL: [Permission; 13] = [
        Permission::MetricsRead,
        Permission::SavedEdit,
        Permission::PipelineRead,
        Permission::PipelineOperate,
        Permission::QualityRead,
        Permission::QualityReplay,
        Permission::QualityEdit,
        Permission::EventsWrite,
        Permission::SqlRun,
        Permission::KeysManage,
        Permission::UsersManage,
        Permission::RolesManage,
        Permission::AuditRead,
    ];

    /// As it is stored, sent and written in documents.
    pub fn name(self) -> &'static str {
        match self {
            Permission::MetricsRead => "metrics:read",
            Permission::SavedEdit => "saved:edit",
            Permission::PipelineRead => "pipeline:read",
            Permission::PipelineOperate => "pipeline:operate",
            Permission::QualityRead => "quality:read",
            Permission::QualityReplay => "quality:replay",
            Permission::QualityEdit => "quality:edit",
            Permission::EventsWrite => "events:write",
            Permission::SqlRun => "sql:run",
            Permission::KeysManage => "keys:manage",
            Permission::UsersManage => "users:manage",
            Permission::RolesManage => "roles:manage",
            Permission::AuditRead => "audit:read",
        }
    }

    pub fn description(self) -> &'static str {
        match self {
            Permission::MetricsRead => "See the dashboards and the live metrics",
            Permission::SavedEdit => "Save, change and delete views, queries and dashboards of one's own",
            Permission::PipelineRead => "See the pipeline, the lake's tables and the dead letters",
            Permission::PipelineOperate => "Act on the pipeline",
            Permission::QualityRead => "See the quality of the data, and dead letters with their content",
            Permission::QualityReplay => "Replay dead letters as they are",
            Permission::QualityEdit => "Change dead letters when replaying them",
            Permission::EventsWrite => "Send events",
            Permission::SqlRun => "Run SQL over the lake",
            Permission::KeysManage => "Make and revoke API keys",
            Permission::UsersManage => "Invite, change and disable users, and end their sessions",
            Permission::RolesManage => "Make and change roles",
            Permission::AuditRead => "Read and export the audit log",
        }
    }

    pub fn from_name(name: &str) -> Option<Permission> {
        Permission::ALL.into_iter().find(|permission| permission.name() == name)
    }
}

/// A role that every installation has. Its permissions are those of this table, whatever the database says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltInRole {
    pub name: &'static str,
    pub description: &'static str,
    pub permissions: &'static [Permission],
}

/// The role that may do everything.
pub const ADMIN: &str = "admin";

pub const BUILT_IN_ROLES: [BuiltInRole; 4] = [
    BuiltInRole {
        name: "viewer",
        description: "Sees the dashboards",
        permissions: &[Permission::MetricsRead, Permission::SavedEdit],
    },
    BuiltInRole {
        name: "analyst",
        description: "Sees everything that is computed and asks questions of the lake",
        permissions: &[
            Permission::MetricsRead,
            Permission::SavedEdit,
            Permission::PipelineRead,
            Permission::QualityRead,
            Permission::SqlRun,
            Permission::KeysManage,
        ],
    },
    BuiltInRole {
        name: "operator",
        description: "Keeps the pipeline running",
        permissions: &[
            Permission::MetricsRead,
            Permission::SavedEdit,
            Permission::PipelineRead,
            Permission::PipelineOperate,
            Permission::QualityRead,
            Permission::QualityReplay,
            Permission::EventsWrite,
            Permission::KeysManage,
        ],
    },
    BuiltInRole { name: ADMIN, description: "May do everything", permissions: &Permission::ALL },
];

/// The person who is signed in, as every page knows them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    pub id: Uuid,
    pub name: String,
    pub email: String,
    pub role: String,
    /// What may be done now: nothing while [`Me::must_enrol`] is set.
    pub permissions: Vec<Permission>,
    /// Whether a second factor is set up.
    pub second_factor: bool,
    /// The role asks for a second factor and there is none yet: until then there is only the profile page.
    pub must_enrol: bool,
    /// Seconds until the access token ends; the browser has it renewed before.
    pub access_seconds_left: i64,
}

impl Me {
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}

/// What one action has to say to the page that comes after it. Shown once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flash {
    pub good: bool,
    /// A sentence or two for the person.
    pub text: String,
    /// Links, keys or codes that are shown this once and never again.
    pub secrets: Vec<String>,
}

/// A user, as the administrators' page lists them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserSummary {
    pub id: Uuid,
    pub name: String,
    pub email: String,
    pub role: String,
    pub state: UserState,
    pub second_factor: bool,
    /// Sessions that are open now.
    pub sessions: i64,
    pub last_login: Option<DateTime<Utc>>,
    pub created: DateTime<Utc>,
    /// Further attempts to log in are refused until then, because too many failed.
    pub locked_until: Option<DateTime<Utc>>,
    /// Whether the person who asks may act on this user: not on oneself, nor on somebody who may do more.
    pub manageable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    /// Has not chosen a password yet.
    Invited,
    Active,
    Disabled,
}

/// The users, and the roles that the person who asks may give.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsersView {
    pub users: Vec<UserSummary>,
    pub grantable_roles: Vec<String>,
}

/// A role, built in or the company's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    pub name: String,
    pub description: String,
    pub built_in: bool,
    pub permissions: Vec<Permission>,
    pub requires_second_factor: bool,
    /// How many users have it.
    pub users: i64,
}

/// A session of a browser or a program: it began with a login, and its tokens are renewed until it ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionSummary {
    pub id: Uuid,
    /// Name and address of the user.
    pub user: String,
    pub address: String,
    pub user_agent: String,
    pub began: DateTime<Utc>,
    pub last_used: DateTime<Utc>,
    pub expires: DateTime<Utc>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// An API key, without the key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKeySummary {
    pub id: Uuid,
    pub name: String,
    /// The first characters, by which its owner tells it from others.
    pub prefix: String,
    /// Address of the user it belongs to.
    pub owner: String,
    pub permissions: Vec<Permission>,
    pub created: DateTime<Utc>,
    pub expires: DateTime<Utc>,
    pub last_used: Option<DateTime<Utc>>,
    pub revoked: Option<DateTime<Utc>>,
}

/// The second factor of the person who asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactor {
    Off,
    /// Begun: the authenticator has to be shown the secret and a first code entered.
    Pending {
        /// The secret, in base 32, for typing.
        secret: String,
        /// An SVG image of the QR code for the authenticator.
        qr_code: String,
    },
    On {
        recovery_codes_left: i64,
    },
}

/// How something that was tried went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Success,
    /// It was tried and failed, such as a login with a wrong password.
    Failure,
    /// It was not allowed.
    Refused,
}

impl Outcome {
    pub const ALL: [Outcome; 3] = [Outcome::Success, Outcome::Failure, Outcome::Refused];

    pub fn name(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Refused => "refused",
        }
    }

    pub fn from_name(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Counts up by one from line to line.
    pub number: i64,
    pub at: DateTime<Utc>,
    /// The address of the user or the name of the key; empty for somebody unknown.
    pub actor: String,
    /// The network address that the request came from; empty for the command line.
    pub address: String,
    /// Such as `login` or `user.disable`.
    pub action: String,
    /// What it was done to.
    pub target: String,
    pub outcome: Outcome,
    pub detail: String,
}

/// Which lines of the audit log are asked for; what is empty matches everything. It stands in the page's URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
pub struct AuditFilter {
    /// Part of the actor or of the network address.
    pub who: String,
    /// The beginning of the action, or part of the target.
    pub what: String,
    /// Days as `2026-11-22`, in UTC, both included.
    pub from: String,
    pub to: String,
    /// The name of an [`Outcome`].
    pub outcome: String,
    /// Lines before this number: the next page.
    pub before: Option<i64>,
}

/// One page of the audit log, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AuditPage {
    pub entries: Vec<AuditEntry>,
    /// [`AuditFilter::before`] of the next page, if there is one.
    pub next: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_has_one_name_everywhere() {
        for permission in Permission::ALL {
            assert_eq!(serde_json::to_value(permission).expect("JSON"), permission.name());
            assert_eq!(Permission::from_name(permission.name()), Some(permission));
        }
    }

    #[test]
    fn built_in_roles_grow_from_viewer_to_admin() {
        let admin = BUILT_IN_ROLES.iter().find(|role| role.name == ADMIN).expect("an admin");
        for role in BUILT_IN_ROLES {
            assert!(role.permissions.contains(&Permission::MetricsRead), "{}", role.name);
            assert!(role.permissions.iter().all(|permission| admin.permissions.contains(permission)), "{}", role.name);
        }
    }
}
