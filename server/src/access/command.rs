//! What is done from a shell: the first users, lost passwords, the check of the audit log, new keys.

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use etl::{embedded::Services, settings::Settings};

use super::{
    Access,
    anchor::{self, Kept},
    audit::{self, Actor},
    limits::RateLimits,
    roles, tell_end,
};
use crate::store::Store;

#[derive(Subcommand)]
pub enum Command {
    /// Users.
    #[command(subcommand)]
    User(UserCommand),
    /// The audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The program's own keys.
    #[command(subcommand)]
    Keys(KeysCommand),
}

#[derive(Subcommand)]
pub enum UserCommand {
    /// Makes a user, and prints the link with which they choose a password.
    Create {
        #[arg(long)]
        email: String,
        /// The address, unless it is given.
        #[arg(long)]
        name: Option<String>,
        /// viewer, analyst, operator, admin, or a role of your own.
        #[arg(long)]
        role: String,
    },
    /// Ends a user's sessions and password, and prints a link with which they choose another.
    Reset {
        #[arg(long)]
        email: String,
    },
}

#[derive(Subcommand)]
pub enum AuditCommand {
    /// Checks that no line was altered, removed, slipped in or cut off at the end. Prints the last line's number and mac.
    Verify,
}

#[derive(Subcommand)]
pub enum KeysCommand {
    /// Makes a new key, which is used from now on. What older keys made stays good.
    Rotate,
}

/// Carries it out; answers what to print.
///
/// # Errors
/// Says what is wrong; for `audit verify` also that the chain is broken, and where.
pub async fn run(command: Command, settings: &Settings) -> Result<String> {
    let services = Services::database(settings).await?;
    let outcome = async {
        let store = Store::connect(&services.database_url).await?;
        roles::write_built_in(store.pool()).await?;
        let outcome = carry_out(command, &store, settings).await;
        store.close().await;
        outcome
    };
    let outcome = outcome.await;
    services.stop().await;
    outcome
}

async fn carry_out(command: Command, store: &Store, settings: &Settings) -> Result<String> {
    let access = Access::new(store.pool().clone(), RateLimits::none(), settings)?;
    let is_verify = matches!(command, Command::Audit(AuditCommand::Verify));
    let outcome = act(command, &access, store, settings).await;
    if !is_verify {
        match anchor::advance(store.pool(), &access.keys).await {
            Ok(Kept::Follows(_)) => {}
            Ok(lost) => tell_end(&lost, &anchor::path(&access.keys)),
            Err(error) => tracing::warn!("where the audit log ends cannot be kept: {error:#}"),
        }
    }
    outcome
}

async fn act(command: Command, access: &Access, store: &Store, settings: &Settings) -> Result<String> {
    let shell = Actor { id: None, name: "command line".to_owned(), address: String::new() };
    let link = |token: &str| format!("{}/invitation?token={token}", settings.public_url(settings.port));
    match command {
        Command::User(UserCommand::Create { email, name, role }) => {
            let name = name.unwrap_or_else(|| email.clone());
            let token = access.create_user(&name, &email, &role, None, &shell).await?;
            Ok(format!("{email} is a user with the role {role}. This link works once, for 48 hours:\n{}", link(&token)))
        }
        Command::User(UserCommand::Reset { email }) => {
            let user = access.find_user(&email).await?.with_context(|| format!("there is no user {email}"))?;
            let token = access.reset(user, None, &shell).await?;
            Ok(format!("The old password no longer works. This link works once, for 48 hours:\n{}", link(&token)))
        }
        Command::Audit(AuditCommand::Verify) => {
            let verified = audit::verify(store.pool(), &access.keys).await?;
            let file = anchor::path(&access.keys);
            match (verified.broken_at, &verified.kept) {
                (Some(number), Some(kept)) if verified.cut_off => bail!(
                    "the audit log is broken: line {number} is missing, and all after it up to line {}, with which it ended when \
                     {} was written; if you went back to an older copy of the database on purpose, remove that file",
                    kept.number,
                    file.display()
                ),
                (Some(number), _) => bail!(
                    "the audit log is broken: line {number} is not as it was written, or does not follow line {}",
                    verified.lines
                ),
                (None, None) if verified.lines > 0 => bail!(
                    "{} is missing, which says where the audit log ended: whether its newest lines were cut off cannot be \
                     told. The lines that are there are whole; compare their number, {}, and the last mac, {}, with the \
                     program's log. The file is made anew when the server or another command runs",
                    file.display(),
                    verified.lines,
                    verified.last_mac
                ),
                (None, _) => {}
            }
            Ok(format!("The audit log is whole: {} lines, the last with mac {}", verified.lines, verified.last_mac))
        }
        Command::Keys(KeysCommand::Rotate) => {
            Ok(format!("The new key is {}. What older keys made stays good.", access.keys.rotate()?))
        }
    }
}
