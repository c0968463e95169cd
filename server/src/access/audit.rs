//! The audit log: who did what, when and from where, and how it went. Lines are only ever added.
//!
//! Each line carries an HMAC over itself and the line before, with a key that is not in the database: whoever alters, removes
//! or slips in a line, a superuser of the database included, breaks the chain, which [`verify`] finds. Where the log ends is
//! kept outside the database (the `anchor`), so that it finds missing newest lines as well.

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, TimeDelta, Utc};
use futures::TryStreamExt as _;
use model::access::{AuditEntry, AuditFilter, AuditPage, Outcome};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    anchor::{self, Anchor},
    keys::{KeyRing, Purpose, token_hash},
};
use crate::lake::sql;

/// Lines of one page.
const PAGE: i64 = 50;
/// The advisory lock that lines are added under: the chain has one end.
const LOCK: i64 = 0x5354_5245_414d;
/// Longer values are cut, in characters; nothing that a person types here is that long, but for statements.
const LONGEST: usize = 500;

/// Who does something, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The user; none for somebody unknown and for the command line.
    pub id: Option<Uuid>,
    pub name: String,
    pub address: String,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    pub action: &'static str,
    pub target: &'a str,
    pub outcome: Outcome,
    pub detail: &'a str,
}

impl<'a> Deed<'a> {
    pub fn success(action: &'static str, target: &'a str) -> Deed<'a> {
        Deed { action, target, outcome: Outcome::Success, detail: "" }
    }

    pub fn failure(action: &'static str, target: &'a str, detail: &'a str) -> Deed<'a> {
        Deed { action, target, outcome: Outcome::Failure, detail }
    }

    pub fn refused(action: &'static str, target: &'a str, detail: &'a str) -> Deed<'a> {
        Deed { action, target, outcome: Outcome::Refused, detail }
    }

    pub fn with_detail(self, detail: &'a str) -> Deed<'a> {
        Deed { detail, ..self }
    }
}

/// Adds a line. On a transaction it is there if and only if the change is that it speaks of; so that the lock is not held
/// for long, it is the last statement before the commit.
///
/// # Errors
/// The database does not answer.
pub async fn append(connection: &mut PgConnection, keys: &KeyRing, actor: &Actor, deed: &Deed<'_>) -> Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", LOCK).execute(&mut *connection).await?;
    let last = sqlx::query!("SELECT number, mac FROM streamlinehub.audit_log ORDER BY number DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    let (number, previous) = last.map_or((0, Vec::new()), |last| (last.number, last.mac));
    let line = Line {
        number: number + 1,
        at: DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).context("a time")?,
        actor_id: actor.id,
        actor: clean(&actor.name, LONGEST),
        address: clean(&actor.address, LONGEST),
        action: deed.action.to_owned(),
        target: clean(deed.target, LONGEST),
        outcome: deed.outcome.name().to_owned(),
        // A statement is kept whole: nothing in it hides behind what stands before it. Longer ones do not run.
        detail: clean(deed.detail, if deed.action.starts_with("sql.") { sql::LONGEST } else { LONGEST }),
    };
    let (key_id, mac) = keys.mac(Purpose::Audit, &line.signed(&previous));
    sqlx::query!(
        "INSERT INTO streamlinehub.audit_log
             (number, at, actor_id, actor, address, action, target, outcome, detail, key_id, mac)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        line.number,
        line.at,
        line.actor_id,
        line.actor,
        line.address,
        line.action,
        line.target,
        line.outcome,
        line.detail,
        key_id,
        mac
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds a line that speaks of no change.
///
/// # Errors
/// The database does not answer.
pub async fn note(pool: &PgPool, keys: &KeyRing, actor: &Actor, deed: &Deed<'_>) -> Result<()> {
    let mut transaction = pool.begin().await?;
    append(&mut transaction, keys, actor, deed).await.context("the audit log cannot be written")?;
    Ok(transaction.commit().await?)
}

/// One line of text that cannot pass for more than one. What is too long is cut, and has the hash of the whole behind it.
fn clean(text: &str, longest: usize) -> String {
    let shown = |c| match c {
        '\n' => '⏎',
        '\t' => ' ',
        c if c.is_control() || is_line_break(c) => '\u{fffd}',
        c => c,
    };
    let cleaned: String = text.chars().take(longest).map(shown).collect();
    if text.chars().nth(longest).is_none() {
        return cleaned;
    }
    format!("{cleaned}… (of {} bytes with the SHA-256 {})", text.len(), hex(&token_hash(text)))
}

/// Whether a text is one line and reads as it is written.
pub(crate) fn is_one_line(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || is_line_break(c))
}

/// Line breaks that are no control characters, and marks that turn the direction of what follows.
fn is_line_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

struct Line {
    number: i64,
    at: DateTime<Utc>,
    actor_id: Option<Uuid>,
    actor: String,
    address: String,
    action: String,
    target: String,
    outcome: String,
    detail: String,
}

impl Line {
    /// What the mac is taken over: each field with its length, so that none can pass for part of another.
    fn signed(&self, previous: &[u8]) -> Vec<u8> {
        let id = self.actor_id.map(|id| id.to_string()).unwrap_or_default();
        let mut text = Vec::new();
        for field in [
            self.number.to_string().as_bytes(),
            self.at.timestamp_micros().to_string().as_bytes(),
            id.as_bytes(),
            self.actor.as_bytes(),
            self.address.as_bytes(),
            self.action.as_bytes(),
            self.target.as_bytes(),
            self.outcome.as_bytes(),
            self.detail.as_bytes(),
            previous,
        ] {
            text.extend((field.len() as u64).to_be_bytes());
            text.extend(field);
        }
        text
    }
}

/// What the check of the chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub lines: i64,
    /// The mac of the last line, in hexadecimal.
    pub last_mac: String,
    /// The first line that is not as it was written, that does not follow the one before, or that is missing at the end.
    pub broken_at: Option<i64>,
    /// It is the first of those that are missing at the end.
    pub cut_off: bool,
    /// The last line that was kept outside the database; none if there is no such file.
    pub kept: Option<Anchor>,
}

/// Goes through the whole chain.
///
/// # Errors
/// The database does not answer, or the file that says where the log ends cannot be read.
pub async fn verify(pool: &PgPool, keys: &KeyRing) -> Result<Verified> {
    let kept = anchor::read(&anchor::path(keys))?;
    let mut rows = sqlx::query!("SELECT * FROM streamlinehub.audit_log ORDER BY number").fetch(pool);
    let (mut lines, mut previous) = (0, Vec::new());
    while let Some(row) = rows.try_next().await? {
        let line = Line {
            number: row.number,
            at: row.at,
            actor_id: row.actor_id,
            actor: row.actor,
            address: row.address,
            action: row.action,
            target: row.target,
            outcome: row.outcome,
            detail: row.detail,
        };
        let mac = keys.mac_with(&row.key_id, Purpose::Audit, &line.signed(&previous));
        let is_kept = kept.as_ref().is_none_or(|kept| kept.number != line.number || kept.mac == hex(&row.mac));
        if line.number != lines + 1 || mac.as_ref() != Some(&row.mac) || !is_kept {
            return Ok(Verified {
                lines,
                last_mac: hex(&previous),
                broken_at: Some(line.number),
                cut_off: false,
                kept,
            });
        }
        (lines, previous) = (line.number, row.mac);
    }
    let broken_at = kept.as_ref().filter(|kept| kept.number > lines).map(|_| lines + 1);
    Ok(Verified { lines, last_mac: hex(&previous), broken_at, cut_off: broken_at.is_some(), kept })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A filter as the database takes it.
struct Bounds {
    who: String,
    what: String,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    outcome: Option<&'static str>,
}

impl Bounds {
    fn of(filter: &AuditFilter) -> Result<Bounds> {
        let day = |text: &str| -> Result<Option<DateTime<Utc>>> {
            let text = text.trim();
            if text.is_empty() {
                return Ok(None);
            }
            let day: NaiveDate = text.parse().with_context(|| format!("`{text}` is not a day such as 2026-01-31"))?;
            ensure!((1970..=9999).contains(&day.year()), "`{text}` is not a day such as 2026-01-31");
            Ok(Some(day.and_time(NaiveTime::MIN).and_utc()))
        };
        let outcome = match filter.outcome.trim() {
            "" => None,
            name => Some(
                Outcome::from_name(name)
                    .with_context(|| format!("`{name}` is not an outcome; it is success, failure or refused"))?
                    .name(),
            ),
        };
        for text in [&filter.who, &filter.what] {
            ensure!(text.chars().count() <= LONGEST, "a filter has at most {LONGEST} characters");
            ensure!(is_one_line(text), "a filter is one line of text");
        }
        Ok(Bounds {
            who: pattern(&filter.who),
            what: pattern(&filter.what),
            from: day(&filter.from)?,
            to: day(&filter.to)?.and_then(|day| day.checked_add_signed(TimeDelta::days(1))),
            outcome,
        })
    }
}

/// Matches what contains the text; its own `%`, `_` and `\` mean themselves.
pub(crate) fn pattern(text: &str) -> String {
    let text = text.trim().replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{text}%")
}

/// Why a filter cannot be used, in words for the person who typed it.
///
/// # Errors
/// A day or an outcome is none.
pub fn check(filter: &AuditFilter) -> Result<()> {
    Bounds::of(filter).map(drop)
}

/// One page of what the filter lets through, the newest first.
///
/// # Errors
/// The filter has no meaning, or the database does not answer.
pub async fn page(pool: &PgPool, filter: &AuditFilter) -> Result<AuditPage> {
    let mut entries = entries(pool, filter, filter.before, PAGE + 1).await?;
    let more = entries.len() > usize::try_from(PAGE)?;
    entries.truncate(usize::try_from(PAGE)?);
    for entry in &mut entries {
        if let Some((end, _)) = entry.detail.char_indices().nth(LONGEST * 2) {
            entry.detail.truncate(end);
            entry.detail.push_str("… (the whole is in the export)");
        }
    }
    let next = entries.last().filter(|_| more).map(|entry| entry.number);
    Ok(AuditPage { entries, next })
}

/// At most `limit` lines before the given one.
///
/// # Errors
/// The filter has no meaning, or the database does not answer.
pub async fn entries(pool: &PgPool, filter: &AuditFilter, before: Option<i64>, limit: i64) -> Result<Vec<AuditEntry>> {
    let bounds = Bounds::of(filter)?;
    let rows = sqlx::query!(
        "SELECT number, at, actor, address, action, target, outcome, detail FROM streamlinehub.audit_log
         WHERE ($1::bigint IS NULL OR number < $1)
           AND (actor ILIKE $2 OR address ILIKE $2) AND (action ILIKE $3 OR target ILIKE $3)
           AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5)
           AND ($6::text IS NULL OR outcome = $6)
         ORDER BY number DESC LIMIT $7",
        before,
        bounds.who,
        bounds.what,
        bounds.from,
        bounds.to,
        bounds.outcome,
        limit
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AuditEntry {
                number: row.number,
                at: row.at,
                actor: row.actor,
                address: row.address,
                action: row.action,
                target: row.target,
                outcome: Outcome::from_name(&row.outcome).context("an outcome")?,
                detail: row.detail,
            })
        })
        .collect()
}

/// Lines as CSV (RFC 4180), the header apart. A value that a spreadsheet would take for a formula gets a quote in front.
///
/// # Errors
/// Never in practice.
pub fn csv(entries: &[AuditEntry], with_header: bool) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    if with_header {
        writer.write_record(["number", "at", "actor", "address", "action", "target", "outcome", "detail"])?;
    }
    for entry in entries {
        writer.write_record([
            entry.number.to_string(),
            entry.at.to_rfc3339(),
            harmless(&entry.actor),
            harmless(&entry.address),
            entry.action.clone(),
            harmless(&entry.target),
            entry.outcome.name().to_owned(),
            harmless(&entry.detail),
        ])?;
    }
    Ok(writer.into_inner()?)
}

pub(crate) fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_types_stays_one_value_of_one_line() {
        assert_eq!(clean("a\r\n2\tsuccess", LONGEST), "a\u{fffd}⏎2 success");
        assert_eq!(clean("\u{2028}\u{202e}\u{0}", LONGEST), "\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(clean(&"ä".repeat(LONGEST), LONGEST), "ä".repeat(LONGEST));
        // echo -n abcd | sha256sum
        let hash = "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589";
        assert_eq!(clean("abcd", 3), format!("abc… (of 4 bytes with the SHA-256 {hash})"));
        let entry = AuditEntry {
            number: 1,
            at: DateTime::UNIX_EPOCH,
            actor: "=HYPERLINK(\"x\")".to_owned(),
            address: String::new(),
            action: "login".to_owned(),
            target: "a,\"b\"\nc".to_owned(),
            outcome: Outcome::Failure,
            detail: String::new(),
        };
        let text = String::from_utf8(csv(&[entry], true).expect("CSV")).expect("text");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let records: Vec<_> = reader.records().collect::<Result<_, _>>().expect("CSV");
        assert_eq!(records.len(), 1);
        assert_eq!(&records[0][2], "'=HYPERLINK(\"x\")");
        assert_eq!(&records[0][5], "a,\"b\"\nc");
    }

    #[test]
    fn a_filter_is_taken_literally_or_refused() {
        assert_eq!(pattern(r"50%_\"), r"%50\%\_\\%");
        let filter = |from: &str, outcome: &str| AuditFilter {
            from: from.to_owned(),
            outcome: outcome.to_owned(),
            ..AuditFilter::default()
        };
        assert!(check(&filter("2026-01-31", "refused")).is_ok());
        assert!(check(&filter("yesterday", "")).is_err());
        assert!(check(&filter("-262143-01-01", "")).is_err());
        assert!(check(&AuditFilter { who: "a\u{0}".to_owned(), ..AuditFilter::default() }).is_err());
        assert!(check(&filter("", "' OR 1=1 --")).is_err());
    }
}
