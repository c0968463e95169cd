//! Whoever changes who may do what shows again who they are: a session that was left open, or that somebody else drives with
//! one click, is not enough. The question is asked in the place of the form's answer and brings along what was typed, so that
//! it works without JavaScript; once answered it is not asked again for `session.confirm_minutes`.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use http::{StatusCode, header};
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    Access, Denied, Standing,
    audit::{Actor, Deed},
    guard::LONGEST_FORM,
    invalid, second_factor,
    throttle::{self, Subject},
};
use crate::plain::{self, Field, Question};

/// The fields of the answer. No form of ours has others of these names.
const PASSWORD: &str = "confirm_password";
const CODE: &str = "confirm_code";

impl Access {
    async fn is_confirmed(&self, session: Uuid) -> Result<bool, Denied> {
        let confirmed = sqlx::query_scalar(
            "SELECT coalesce(confirmed_at > now() - make_interval(secs => $2), false) FROM streamlinehub.sessions WHERE id = $1",
        )
        .bind(session)
        .bind(f64::from(i32::try_from(self.lifetimes.confirmed.num_seconds()).unwrap_or(i32::MAX)));
        Ok(confirmed.fetch_optional(&self.pool).await?.unwrap_or(false))
    }

    /// From now on, and for minutes, the session may change rights.
    ///
    /// # Errors
    /// The password or the code is wrong; too often; the database does not answer.
    pub async fn confirm_session(
        &self,
        standing: &Standing,
        session: Uuid,
        password: String,
        code: &str,
        actor: &Actor,
    ) -> Result<(), Denied> {
        if password.is_empty() && standing.second_factor {
            let subject = Subject::Confirmation(standing.user);
            if let Some(until) = throttle::book(&self.pool, &subject).await? {
                return Err(Denied::TooMany(throttle::seconds_until(until)));
            }
            if second_factor::take(self, standing.user, code).await?.is_none() {
                throttle::failed(&self.pool, &subject).await?;
                self.note(actor, &Deed::failure("password.confirm", &actor.name, "wrong code")).await?;
                return invalid("That code is not right.");
            }
            throttle::succeeded(&self.pool, &subject).await?;
        } else {
            self.confirm_password(standing.user, password, actor).await?;
        }
        sqlx::query("UPDATE streamlinehub.sessions SET confirmed_at = now() WHERE id = $1")
            .bind(session)
            .execute(&self.pool)
            .await?;
        self.note(actor, &Deed::success("session.confirm", &standing.email)).await
    }
}

/// Lets the form of a confirmed session through, without what was typed to confirm it.
///
/// # Errors
/// The question that comes in the place of the form's answer.
pub(super) async fn confirmed(
    access: &Access,
    standing: &Standing,
    session: Uuid,
    actor: &Actor,
    request: Request,
) -> Result<Request, Response> {
    let (mut parts, body) = request.into_parts();
    // It is here already and was measured.
    let form = to_bytes(body, LONGEST_FORM).await.unwrap_or_default();
    let mut fields: Vec<(String, String)> = form_urlencoded::parse(&form).into_owned().collect();
    let take = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    let (password, code) = (take(PASSWORD), take(CODE));
    let is_answer = password.is_some() || code.is_some();
    fields.retain(|(field, _)| field != PASSWORD && field != CODE);
    let outcome = match access.is_confirmed(session).await {
        Ok(true) => Ok(()),
        Ok(false) if is_answer => {
            let (password, code) = (password.unwrap_or_default(), code.unwrap_or_default());
            access.confirm_session(standing, session, password, &code, actor).await.map_err(Some)
        }
        Ok(false) => Err(None),
        Err(denied) => Err(Some(denied)),
    };
    if let Err(why) = outcome {
        if let Some(Denied::Internal(error)) = &why {
            tracing::error!("it cannot be confirmed who sends a form: {error:#}");
        }
        let why = why.map(|denied| denied.to_string());
        return Err(question(access, standing, parts.uri.path(), &fields, why.as_deref()));
    }
    if !is_answer {
        return Ok(Request::from_parts(parts, Body::from(form)));
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Ok(Request::from_parts(parts, Body::from(form)))
}

fn question(
    access: &Access,
    standing: &Standing,
    path: &str,
    fields: &[(String, String)],
    wrong: Option<&str>,
) -> Response {
    let sentence = format!(
        "What you are about to do changes who may do what here. Show that it is you, {}; then you are not asked again for {} minutes.",
        standing.email,
        access.lifetimes.confirmed.num_minutes()
    );
    let password = Field { name: PASSWORD, label: "Your password", kind: "password", autocomplete: "current-password" };
    let code =
        Field { name: CODE, label: "Or a code of your authenticator", kind: "text", autocomplete: "one-time-code" };
    let asked: &[Field] = if standing.second_factor { &[password, code] } else { &[password] };
    // The page that the form was on.
    let back = path.rsplit_once('/').map_or("/", |(page, _)| page);
    let question = Question {
        title: "Is it you?",
        sentence: &sentence,
        wrong,
        action: path,
        brought: fields,
        asked,
        button: "Go on",
        back,
    };
    plain::question(StatusCode::FORBIDDEN, &question)
}
