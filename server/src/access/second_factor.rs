//! The second factor: codes of an authenticator (TOTP, RFC 6238), and recovery codes for when it is lost.

use anyhow::{Context, Result, anyhow};
use chrono::Utc;
use model::access::SecondFactor;
use qrcode::{QrCode, render::svg};
use totp_rs::{Builder, Totp};
use uuid::Uuid;

use super::{
    Access, Denied,
    audit::{self, Actor, Deed},
    invalid,
    keys::{KeyRing, Purpose, random},
};

const RECOVERY_CODES: usize = 10;
/// Without letters and digits that look alike.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789-";

/// What kind of code was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Authenticator,
    Recovery,
}

impl Kind {
    /// For the audit log.
    pub fn describe(self) -> &'static str {
        match self {
            Kind::Authenticator => "password and authenticator",
            Kind::Recovery => "password and recovery code",
        }
    }
}

/// Six digits every 30 seconds by SHA-1, as authenticators expect; one step early or late is taken too.
fn totp(secret: &[u8], email: &str) -> Result<Totp> {
    Builder::new()
        .with_secret(secret)
        .with_skew(1)
        .with_account_name(email.replace(':', " "))
        .with_issuer(Some("StreamlineHub"))
        .build()
        .map_err(|error| anyhow!("the authenticator's secret is not good: {error}"))
}

fn unsealed(keys: &KeyRing, sealed: &[u8]) -> Result<Vec<u8>> {
    keys.unseal(Purpose::SecondFactor, sealed).context(
        "an authenticator's secret was sealed with a key that is not there; is secrets.path the file of this database?",
    )
}

/// Takes a code, which then counts no more. `None`: it is wrong.
///
/// # Errors
/// The database does not answer.
pub async fn take(access: &Access, user: Uuid, code: &str) -> Result<Option<Kind>, Denied> {
    let code: String = code.trim().to_lowercase().chars().filter(|c| !c.is_whitespace()).take(64).collect();
    let row = sqlx::query!("SELECT email, totp_secret FROM streamlinehub.users WHERE id = $1 AND totp_on", user)
        .fetch_optional(&access.pool)
        .await?;
    let Some((email, sealed)) = row.and_then(|row| Some((row.email, row.totp_secret?))) else { return Ok(None) };
    let secret = unsealed(&access.keys, &sealed)?;
    if let Some(step) = totp(&secret, &email)?.check(&code, Utc::now().timestamp().unsigned_abs()) {
        let step = i64::try_from(step).context("a time step")?;
        let taken = sqlx::query!(
            "UPDATE streamlinehub.users SET totp_last_step = $2 WHERE id = $1 AND totp_last_step < $2",
            user,
            step
        )
        .execute(&access.pool)
        .await?;
        return Ok((taken.rows_affected() == 1).then_some(Kind::Authenticator));
    }
    let hashes = access.keys.macs(Purpose::RecoveryCode, &recovery_text(user, &code));
    let taken = sqlx::query!(
        "DELETE FROM streamlinehub.recovery_codes WHERE user_id = $1 AND code_hash = ANY($2)",
        user,
        &hashes
    )
    .execute(&access.pool)
    .await?;
    Ok((taken.rows_affected() > 0).then_some(Kind::Recovery))
}

fn recovery_text(user: Uuid, code: &str) -> Vec<u8> {
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    [user.as_bytes().as_slice(), code.as_bytes()].concat()
}

/// A code of 50 bits, as it is shown: `abcde-fghjk`.
fn recovery_code() -> Result<String> {
    let mut code = String::new();
    while code.len() < 11 {
        // The last letter of the alphabet stands for "draw again".
        let letter = ALPHABET[usize::from(random::<1>()?[0] & 31)];
        if letter != b'-' {
            if code.len() == 5 {
                code.push('-');
            }
            code.push(char::from(letter));
        }
    }
    Ok(code)
}

impl Access {
    /// How the second factor of a user stands.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn second_factor(&self, user: Uuid) -> Result<SecondFactor> {
        let row = sqlx::query!(
            r#"SELECT email, totp_secret, totp_on,
                      (SELECT count(*) FROM streamlinehub.recovery_codes WHERE user_id = u.id) AS "codes!"
               FROM streamlinehub.users u WHERE id = $1"#,
            user
        )
        .fetch_one(&self.pool)
        .await?;
        let Some(sealed) = row.totp_secret else { return Ok(SecondFactor::Off) };
        if row.totp_on {
            return Ok(SecondFactor::On { recovery_codes_left: row.codes });
        }
        let totp = totp(&unsealed(&self.keys, &sealed)?, &row.email)?;
        let url = totp.to_url().map_err(|error| anyhow!("no link for the authenticator: {error}"))?;
        let image = QrCode::new(url)?.render::<svg::Color<'_>>().min_dimensions(200, 200).build();
        Ok(SecondFactor::Pending { secret: totp.secret().to_base32(), qr_code: image })
    }

    /// Makes a secret, which counts once a first code was entered.
    ///
    /// # Errors
    /// It is on already; the database does not answer.
    pub async fn begin_second_factor(&self, user: Uuid) -> Result<(), Denied> {
        let sealed = self.keys.seal(Purpose::SecondFactor, &random::<20>()?)?;
        let begun = sqlx::query!(
            "UPDATE streamlinehub.users SET totp_secret = $2, totp_last_step = 0 WHERE id = $1 AND NOT totp_on",
            user,
            sealed
        )
        .execute(&self.pool)
        .await?;
        if begun.rows_affected() == 0 {
            return invalid("The second factor is on already.");
        }
        Ok(())
    }

    /// Turns the second factor on with a first code; answers the recovery codes.
    ///
    /// # Errors
    /// The code is wrong, or nothing was begun; the database does not answer.
    pub async fn confirm_second_factor(&self, user: Uuid, code: &str, actor: &Actor) -> Result<Vec<String>, Denied> {
        let row =
            sqlx::query!("SELECT email, totp_secret FROM streamlinehub.users WHERE id = $1 AND NOT totp_on", user)
                .fetch_optional(&self.pool)
                .await?;
        let Some((email, sealed)) = row.and_then(|row| Some((row.email, row.totp_secret?))) else {
            return invalid("There is nothing to confirm.");
        };
        let code: String = code.chars().filter(char::is_ascii_digit).collect();
        let totp = totp(&unsealed(&self.keys, &sealed)?, &email)?;
        let Some(step) = totp.check(&code, Utc::now().timestamp().unsigned_abs()) else {
            return invalid("That code is not right. Is the clock of the authenticator's device right?");
        };
        let mut transaction = self.pool.begin().await?;
        sqlx::query!(
            "UPDATE streamlinehub.users SET totp_on = true, totp_last_step = $2 WHERE id = $1",
            user,
            i64::try_from(step).context("a time step")?
        )
        .execute(&mut *transaction)
        .await?;
        let codes = self.replace_recovery_codes(&mut transaction, user).await?;
        audit::append(&mut transaction, &self.keys, actor, &Deed::success("second-factor.on", &email)).await?;
        transaction.commit().await?;
        self.forget(Some(user));
        Ok(codes)
    }

    /// New recovery codes in the place of the old ones.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn new_recovery_codes(&self, user: Uuid, actor: &Actor) -> Result<Vec<String>, Denied> {
        let mut transaction = self.pool.begin().await?;
        let codes = self.replace_recovery_codes(&mut transaction, user).await?;
        let deed = Deed::success("second-factor.codes", &actor.name);
        audit::append(&mut transaction, &self.keys, actor, &deed).await?;
        transaction.commit().await?;
        Ok(codes)
    }

    /// Turns it off, by the user or by an administrator.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn second_factor_off(&self, user: Uuid, actor: &Actor) -> Result<(), Denied> {
        let mut transaction = self.pool.begin().await?;
        let email = sqlx::query_scalar!(
            "UPDATE streamlinehub.users SET totp_on = false, totp_secret = NULL WHERE id = $1 RETURNING email",
            user
        )
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::query!("DELETE FROM streamlinehub.recovery_codes WHERE user_id = $1", user)
            .execute(&mut *transaction)
            .await?;
        audit::append(&mut transaction, &self.keys, actor, &Deed::success("second-factor.off", &email)).await?;
        transaction.commit().await?;
        self.forget(Some(user));
        Ok(())
    }

    async fn replace_recovery_codes(
        &self,
        connection: &mut sqlx::PgConnection,
        user: Uuid,
    ) -> Result<Vec<String>, Denied> {
        let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect::<Result<_>>()?;
        let hashes: Vec<Vec<u8>> =
            codes.iter().map(|code| self.keys.mac(Purpose::RecoveryCode, &recovery_text(user, code)).1).collect();
        sqlx::query!("DELETE FROM streamlinehub.recovery_codes WHERE user_id = $1", user)
            .execute(&mut *connection)
            .await?;
        sqlx::query!(
            "INSERT INTO streamlinehub.recovery_codes (user_id, code_hash) SELECT $1, unnest($2::bytea[])",
            user,
            &hashes
        )
        .execute(connection)
        .await?;
        Ok(codes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_codes_are_read_well_and_typed_in_any_way() {
        let code = recovery_code().expect("a code");
        assert_eq!((code.len(), code.as_bytes()[5]), (11, b'-'));
        assert!(code.chars().all(|c| c == '-' || (c.is_ascii_alphanumeric() && !"01ilo".contains(c))), "{code}");
        let user = Uuid::new_v4();
        assert_eq!(recovery_text(user, &code), recovery_text(user, &code.replace('-', "")));
        assert_ne!(recovery_text(user, &code), recovery_text(Uuid::new_v4(), &code));
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B: the secret "12345678901234567890" at 59 s gives 94287082, of which six digits are used.
        let totp = totp(b"12345678901234567890", "ann@example.com").expect("a secret");
        assert_eq!(totp.check("287082", 59), Some(1));
        assert_eq!(totp.check("287082", 59 + 30), Some(1), "one step late");
        assert_eq!(totp.check("287082", 59 + 90), None);
    }
}
