//! Who gets in, and what they may do.
//!
//! * [`keys`]: the program's own secrets; [`token`], [`password`] and [`second_factor`] build on them
//! * [`login`]: password and second factor; [`sessions`]: what comes of it; [`throttle`] and [`limits`] bound how often is tried
//! * [`joining`]: how users come in; [`users`], [`roles`], [`api_keys`]: what administrators and they themselves change
//! * [`audit`]: what happened, with its [`anchor`]
//! * `confirm`: whoever changes rights shows again who they are
//! * [`guard`]: stands before every route, with the [`gate`]; [`rules`] says what each one needs, by its [`path`]
//! * [`forms`], [`rest`] and [`people`]: how browsers, programs and pages come to all this
//!
//! Every request is judged by the rights that its caller has now: [`Access::standing`] reads them from PostgreSQL and keeps
//! them for seconds; whatever changes them is announced to every web process, by the database itself.

pub mod anchor;
pub mod api_keys;
pub mod audit;
pub mod command;
mod confirm;
pub mod cookies;
pub mod forms;
pub mod gate;
pub mod guard;
pub mod hosts;
pub mod joining;
pub mod keys;
pub mod limits;
pub mod login;
pub mod password;
pub mod path;
pub mod people;
mod repeats;
pub mod rest;
pub mod roles;
pub mod rules;
pub mod second_factor;
pub mod sessions;
mod statements;
pub mod throttle;
pub mod token;
pub mod users;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use etl::settings::Settings;
use model::access::Permission;
use moka::sync::Cache;
use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::{
    anchor::Kept,
    audit::{Actor, Deed},
    keys::{KeyRing, token_hash},
    limits::{Rate, RateLimits},
    repeats::Repeats,
};

/// Rights are read anew after this long, even if no announcement reached us.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// So many callers' rights are kept.
const KEPT: u64 = 10_000;
/// How often the end of the audit log is kept, and how often it is told in the program's log.
const KEEP_END: Duration = Duration::from_secs(2);
const TELL_END: Duration = Duration::from_secs(600);
/// The channel of the database's announcements.
const CHANNEL: &str = "streamlinehub_access";

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// What was asked for makes no sense; the text tells the person what to do.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing, or it is not for the person to see, which is answered alike.
    #[error("{0}")]
    Missing(String),
    /// The person may not.
    #[error("{0}")]
    Forbidden(String),
    /// Too often; again after so many seconds.
    #[error("Too many attempts. Try again in {0} seconds.")]
    TooMany(i64),
    /// The details are for the log.
    #[error("Something went wrong on the server; its log says what.")]
    Internal(#[from] anyhow::Error),
}

impl From<sqlx::Error> for Denied {
    fn from(error: sqlx::Error) -> Denied {
        Denied::Internal(error.into())
    }
}

pub(crate) fn invalid<T>(text: impl Into<String>) -> Result<T, Denied> {
    Err(Denied::Invalid(text.into()))
}

/// How a caller is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    Session(Uuid),
    /// The hash of an API key.
    ApiKey(Vec<u8>),
}

/// A caller, and what they may do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub user: Uuid,
    pub email: String,
    pub name: String,
    pub role: String,
    /// Empty while [`Standing::must_enrol`] is set.
    pub permissions: Vec<Permission>,
    pub second_factor: bool,
    /// The role asks for a second factor and there is none yet.
    pub must_enrol: bool,
    /// For an API key its name.
    pub api_key: Option<String>,
    /// When the session or the key ends at the latest.
    pub ends: DateTime<Utc>,
}

impl Standing {
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }

    /// How the audit log names the caller.
    pub fn actor(&self, address: &str) -> Actor {
        let name = match &self.api_key {
            Some(key) => format!("{} (API key {key})", self.email),
            None => self.email.clone(),
        };
        Actor { id: Some(self.user), name, address: address.to_owned() }
    }
}

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An access token.
    pub access: TimeDelta,
    /// A session that nobody uses.
    pub idle: TimeDelta,
    /// A session, however much it is used.
    pub longest: TimeDelta,
    /// What a session may change after its person has shown again who they are.
    pub confirmed: TimeDelta,
}

/// What is allowed in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    pub requests: Rate,
    pub logins: Rate,
}

/// Accounts, sessions and rights.
pub struct Access {
    pub(crate) pool: PgPool,
    pub(crate) keys: KeyRing,
    pub(crate) limits: RateLimits,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) rates: Rates,
    standings: Cache<Credential, Arc<Standing>>,
    /// What was refused within the last minute.
    repeats: Repeats,
    /// Counts the announcements.
    changes: watch::Sender<u64>,
}

impl Access {
    /// # Errors
    /// The file of the program's keys cannot be read or made.
    pub fn new(pool: PgPool, limits: RateLimits, settings: &Settings) -> Result<Access> {
        let keys = KeyRing::open(&settings.secrets_path())?;
        let cache = Cache::builder().max_capacity(KEPT).time_to_live(KEPT_FOR).support_invalidation_closures();
        Ok(Access {
            pool,
            keys,
            limits,
            lifetimes: Lifetimes {
                access: TimeDelta::minutes(settings.session.access_minutes.into()),
                idle: TimeDelta::hours(settings.session.idle_hours.into()),
                longest: TimeDelta::days(settings.session.longest_days.into()),
                confirmed: TimeDelta::minutes(settings.session.confirm_minutes.into()),
            },
            rates: Rates {
                requests: Rate(settings.rate_limit.per_minute),
                logins: Rate(settings.rate_limit.login_per_minute),
            },
            standings: cache.build(),
            repeats: Repeats::default(),
            changes: watch::Sender::new(0),
        })
    }

    /// Whether the caller makes too many requests; `Some`: seconds to wait.
    pub async fn too_many(&self, caller: &str, rate: Rate) -> Option<u64> {
        self.limits.exceeded(caller, rate).await.map(|wait| wait.as_secs() + 1)
    }

    /// Who the caller is and what they may do now; `None` if the session, the key or the user is no longer good.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn standing(&self, credential: &Credential) -> Result<Option<Arc<Standing>>> {
        if let Some(standing) = self.standings.get(credential) {
            return Ok(Some(standing).filter(|standing| standing.ends > Utc::now()));
        }
        let before = *self.changes.borrow();
        let read = match credential {
            Credential::Session(id) => self.standing_of_session(*id).await,
            Credential::ApiKey(hash) => self.standing_of_key(hash).await,
        };
        let Some(standing) = read.context("accounts cannot be read")?.map(Arc::new) else { return Ok(None) };
        self.standings.insert(credential.clone(), Arc::clone(&standing));
        // What changed while we were reading may be missing in what we read.
        if *self.changes.borrow() != before {
            self.standings.invalidate(credential);
        }
        Ok(Some(standing))
    }

    async fn standing_of_session(&self, id: Uuid) -> Result<Option<Standing>> {
        let row = sqlx::query!(
            "SELECT u.id, u.email, u.name, u.role, u.totp_on, r.permissions, r.requires_second_factor, s.expires_at
             FROM streamlinehub.sessions s
             JOIN streamlinehub.users u ON u.id = s.user_id
             JOIN streamlinehub.roles r ON r.name = u.role
             WHERE s.id = $1 AND s.ended_at IS NULL AND s.expires_at > now() AND u.disabled_at IS NULL",
            id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| {
            let must_enrol = row.requires_second_factor && !row.totp_on;
            let permissions = roles::rights_of(&row.role, &row.permissions, must_enrol);
            Standing {
                user: row.id,
                email: row.email,
                name: row.name,
                role: row.role,
                permissions,
                second_factor: row.totp_on,
                must_enrol,
                api_key: None,
                ends: row.expires_at,
            }
        }))
    }

    async fn standing_of_key(&self, hash: &[u8]) -> Result<Option<Standing>> {
        let row = sqlx::query!(
            "UPDATE streamlinehub.api_keys k SET last_used_at = now()
             FROM streamlinehub.users u JOIN streamlinehub.roles r ON r.name = u.role
             WHERE k.key_hash = $1 AND u.id = k.user_id
               AND k.revoked_at IS NULL AND k.expires_at > now() AND u.disabled_at IS NULL
             RETURNING u.id, u.email, u.name, u.role, u.totp_on, r.permissions, r.requires_second_factor,
                       k.name AS key_name, k.permissions AS key_permissions, k.expires_at",
            hash
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| {
            let must_enrol = row.requires_second_factor && !row.totp_on;
            // A key never does more than its owner may do by now.
            let mut permissions = roles::rights_of(&row.role, &row.permissions, must_enrol);
            permissions.retain(|permission| row.key_permissions.iter().any(|name| name == permission.name()));
            Standing {
                user: row.id,
                email: row.email,
                name: row.name,
                role: row.role,
                permissions,
                second_factor: row.totp_on,
                must_enrol,
                api_key: Some(row.key_name),
                ends: row.expires_at,
            }
        }))
    }

    /// The rights of a user have changed, or of everybody: nothing that was known of them counts any more.
    pub fn forget(&self, user: Option<Uuid>) {
        // First the count, so that what is being read now is not kept.
        self.changes.send_modify(|count| *count += 1);
        match user {
            Some(user) => {
                // Fails only on a cache that was built otherwise.
                if self.standings.invalidate_entries_if(move |_, standing| standing.user == user).is_err() {
                    self.standings.invalidate_all();
                }
            }
            None => self.standings.invalidate_all(),
        }
        self.changes.send_modify(|count| *count += 1);
    }

    /// Comes to an end when the caller may do this no longer.
    pub async fn right_ends(&self, credential: Credential, permission: Permission) {
        let mut changes = self.changes.subscribe();
        loop {
            match self.standing(&credential).await {
                Ok(Some(standing)) if standing.may(permission) => {
                    let end = (standing.ends - Utc::now()).to_std().unwrap_or_default();
                    // Not every change may reach us; this often we look ourselves.
                    let look = end.min(Duration::from_secs(15));
                    let _ = tokio::time::timeout(look, changes.changed()).await;
                }
                Ok(_) => return,
                // What the database cannot tell for now is not held against the caller: the next look will.
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }

    /// Listens to the database's announcements until told to stop.
    pub async fn follow(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let listening = async {
                let mut listener = PgListener::connect_with(&self.pool).await?;
                listener.listen(CHANNEL).await?;
                loop {
                    // Whatever was announced before we listened, or while the connection was lost, is unknown.
                    self.forget(None);
                    while let Some(announced) = listener.try_recv().await? {
                        self.forget(announced.payload().parse().ok());
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                ended = listening => {
                    let ended: Result<(), sqlx::Error> = ended;
                    if let Err(error) = ended {
                        tracing::warn!("PostgreSQL's announcements cannot be heard: {error}");
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Deletes what is of no more use, every hour until told to stop.
    pub async fn keep_house(&self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!("what has expired cannot be deleted: {error:#}");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(3600)) => {}
            }
        }
    }

    async fn sweep(&self) -> Result<()> {
        sqlx::query!("DELETE FROM streamlinehub.one_time_links WHERE expires_at < now()").execute(&self.pool).await?;
        sqlx::query!("DELETE FROM streamlinehub.login_attempts WHERE last_at < now() - interval '2 days'")
            .execute(&self.pool)
            .await?;
        sqlx::query!(
            "DELETE FROM streamlinehub.sessions
             WHERE expires_at < now() - interval '1 day' OR ended_at < now() - interval '1 day'"
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Adds a line to the audit log that speaks of no change.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn note(&self, actor: &Actor, deed: &Deed<'_>) -> Result<(), Denied> {
        Ok(audit::note(&self.pool, &self.keys, actor, deed).await?)
    }

    /// Adds a line unless the same was told within the last minute, and counts it for the line that tells how often.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn note_once(&self, actor: &Actor, deed: &Deed<'_>) -> Result<(), Denied> {
        if self.repeats.is_news(actor, deed, Utc::now()) { self.note(actor, deed).await } else { Ok(()) }
    }

    /// Adds the lines that tell how often something was refused: of the minutes that are over, or with `all` of those under
    /// way as well.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn note_repeats(&self, all: bool) -> Result<(), Denied> {
        for counted in self.repeats.take(Utc::now(), all) {
            self.note(&counted.actor, &counted.deed()).await?;
        }
        Ok(())
    }

    /// Keeps outside the database where the audit log ends, and counts what repeats, until told to stop.
    pub async fn keep_audit(&self, stop: CancellationToken) {
        let mut told: Option<(Instant, Kept)> = None;
        loop {
            let last = stop.is_cancelled();
            if let Err(denied) = self.note_repeats(last).await {
                tracing::warn!("what was refused repeatedly cannot be noted: {denied}");
            }
            let kept = anchor::advance(&self.pool, &self.keys).await;
            let is_due = told.as_ref().is_none_or(|(at, before)| {
                let again = at.elapsed() >= TELL_END && kept.as_ref().is_ok_and(|kept| kept != before);
                again || matches!((before, &kept), (Kept::Follows(_), Ok(Kept::Lost(_))))
            });
            match kept {
                Err(error) => tracing::warn!("where the audit log ends cannot be kept: {error:#}"),
                Ok(kept) if is_due || last => {
                    tell_end(&kept, &anchor::path(&self.keys));
                    told = Some((Instant::now(), kept));
                }
                Ok(_) => {}
            }
            if last {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(KEEP_END) => {}
            }
        }
    }
}

/// An API key as it comes with a request.
pub(crate) fn api_key_credential(key: &str) -> Credential {
    Credential::ApiKey(token_hash(key))
}

/// For the program's log, which is kept elsewhere.
fn tell_end(kept: &Kept, path: &Path) {
    match kept {
        Kept::Follows(None) => {}
        Kept::Follows(Some(end)) => tracing::info!(number = end.number, mac = end.mac, "the audit log ends here"),
        Kept::Lost(end) => tracing::error!(
            number = end.number,
            mac = end.mac,
            "the audit log was cut off or written anew: it has no such line any more, which {} names; `audit verify` says more",
            path.display()
        ),
    }
}
