//! Forms of the pages about dead letters. As all forms they work without JavaScript, and lead on to a page that tells how it went.

use axum::{
    Form,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, post},
};
use model::{access::Permission, letter::LetterFilter};
use serde::Deserialize;
use url::form_urlencoded;

use super::{
    letters::Place,
    letters_rest::replays,
    replay::{ReplayError, Wanted},
};
use crate::{
    access::{
        Denied,
        forms::{Desk, good},
    },
    routes::WebState,
};

const LETTERS: &str = "/quality/letters";

/// Every form, by the path it is sent to.
pub fn forms() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![("/quality/replay", post(replay)), ("/quality/replay-all", post(replay_all))]
}

#[derive(Deserialize)]
struct Replay {
    topic: String,
    partition: String,
    offset: String,
    /// What it shall hold; none where it is sent as it is.
    payload: Option<String>,
    /// A box that is not ticked is not sent.
    #[serde(default)]
    again: bool,
}

async fn replay(State(state): State<WebState>, desk: Desk, Form(form): Form<Replay>) -> Response {
    let Some(place) = Place::parse(&form.topic, &form.partition, &form.offset) else {
        return desk.go_on(LETTERS, Err(Denied::Invalid("There is no such letter.".to_owned())));
    };
    let page = format!("{LETTERS}/{place}");
    // Forms end lines as CRLF, whatever was there.
    let payload = form.payload.map(|text| text.replace("\r\n", "\n"));
    if payload.is_some() && !desk.standing.may(Permission::QualityEdit) {
        let why = format!("To change a letter needs the permission {}.", Permission::QualityEdit.name());
        return desk.go_on(&page, Err(Denied::Forbidden(why)));
    }
    let replays = match replays(&state) {
        Ok(replays) => replays,
        Err(refusal) => return refusal.into_response(),
    };
    let replayed = replays.replay(Wanted { place, payload, again: form.again }, desk.actor.clone()).await;
    let told = match replayed {
        Ok(replayed) => {
            let how = if replayed.edited { "changed" } else { "as it was" };
            let offset = replayed.new_offset.map(|offset| format!(", offset {offset}")).unwrap_or_default();
            let partition = replayed.new_partition.unwrap_or_default();
            Ok(good(format!(
                "It was sent {how} to partition {partition}{offset}. In a moment it is in the lake, or a dead letter anew."
            )))
        }
        Err(ReplayError::Denied(denied)) => Err(denied),
        Err(other) => Err(Denied::Invalid(other.to_string())),
    };
    desk.go_on(&page, told)
}

#[derive(Deserialize)]
struct ReplayAll {
    #[serde(default)]
    topic: String,
    #[serde(default)]
    stage: String,
    #[serde(default)]
    rejection: String,
    #[serde(default)]
    rule: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    again: bool,
}

async fn replay_all(State(state): State<WebState>, desk: Desk, Form(form): Form<ReplayAll>) -> Response {
    let ReplayAll { topic, stage, rejection, rule, from, to, again } = form;
    let filter = LetterFilter { topic, stage, rejection, rule, from, to };
    let page = address(&filter);
    let replays = match replays(&state) {
        Ok(replays) => replays,
        Err(refusal) => return refusal.into_response(),
    };
    let begun = replays.begin_batch(filter, again, desk.actor.clone()).await;
    let told = begun
        .map(|batch| good(format!("The replay of {} letters has begun. How far it is stands below.", batch.total)));
    desk.go_on(&page, told)
}

/// The list with this filter.
fn address(filter: &LetterFilter) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in filter.fields().into_iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    let query = query.finish();
    if query.is_empty() { LETTERS.to_owned() } else { format!("{LETTERS}?{query}") }
}
