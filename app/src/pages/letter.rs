//! One dead letter: what it holds, why it could not be used, and what was done with it since.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;
use model::{
    access::Permission,
    letter::{Letter, LetterDetail, ReplayOutcome, Replayed},
};

use crate::{
    api,
    components::{
        answered::Answered,
        icon::Shape,
        letter_filter::{LETTERS, stage_label},
        letter_table::rejection_label,
        notice::{Notice, Remark},
    },
    format,
    session::use_may,
};

#[component]
pub fn LetterPage() -> impl IntoView {
    let params = use_params_map();
    let place = Memo::new(move |_| {
        let params = params.read();
        let text = |name| params.get_str(name).unwrap_or_default().to_owned();
        format!("{}/{}/{}", text("topic"), text("partition"), text("offset"))
    });
    let letter = Resource::new(move || place.get(), api::get_letter);
    let here = Signal::derive(move || format!("{LETTERS}/{}", place.read()));
    let show = |letter: Option<LetterDetail>| match letter {
        Some(letter) => view! { <Detail letter /> }.into_any(),
        None => view! {
            <Notice title="There is no such letter" detail="No dead letter came from there." shape=Shape::Empty>
                <a class="button" href=LETTERS>
                    "All dead letters"
                </a>
            </Notice>
        }
        .into_any(),
    };
    view! {
        <Title text="Dead letter" />
        <div class="page-head">
            <h1 class="page-title">"Dead letter"</h1>
            <a class="button button-secondary" href=LETTERS>
                "All dead letters"
            </a>
        </div>
        <Answered answer=letter href=here show />
    }
    .into_any()
}

#[component]
fn Detail(letter: LetterDetail) -> impl IntoView {
    let LetterDetail { letter, key, headers, payload, whole, trail } = letter;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let was_replayed = !trail.is_empty();
    let why = format!("{} ({}): ", rejection_label(&letter.rejection), stage_label(&letter.stage));
    let cut = (!whole).then(|| {
        view! { <p class="field-hint">"It is no text, or too long to be shown whole; it can be replayed as it is."</p> }
    });
    let place = letter.place();
    let raw = (letter.stage != "bronze").then(|| {
        view! {
            <div>
                <dt>"In Bronze"</dt>
                <dd>
                    <a class="code" href=format!("/events/{place}")>
                        "The event as it came"
                    </a>
                </dd>
            </div>
        }
    });
    let shown = payload.clone();
    let reason = letter.reason.clone();
    view! {
        <Remark>{why} {reason}</Remark>
        <section class="panel" aria-labelledby="letter-title">
            <h2 class="panel-title" id="letter-title">
                "Its way"
            </h2>
            <dl class="facts about-table">
                <div><dt>"Topic"</dt><dd class="code">{letter.topic.clone()}</dd></div>
                <div><dt>"Partition"</dt><dd>{letter.partition}</dd></div>
                <div><dt>"Offset"</dt><dd>{letter.offset}</dd></div>
                <div><dt>"Key"</dt><dd class="code">{or_none(key)}</dd></div>
                <div><dt>"Came to Kafka"</dt><dd>{format::instant(letter.kafka_time)}</dd></div>
                <div><dt>"Came in here"</dt><dd>{format::instant(letter.ingested_at)}</dd></div>
                <div><dt>"Headers"</dt><dd class="code">{or_none(headers)}</dd></div>
                <div><dt>"Size"</dt><dd>{format::bytes(letter.bytes)}</dd></div>
                {raw}
            </dl>
        </section>
        <section class="panel" aria-labelledby="content-title">
            <h2 class="panel-title" id="content-title">
                "Content"
            </h2>
            <pre class="payload payload-raw" tabindex="0" aria-labelledby="content-title" role="region">
                {shown}
            </pre>
            {cut}
        </section>
        <Ways letter payload whole was_replayed />
        <Trail trail />
    }
    .into_any()
}

/// What may be done about it.
#[component]
fn Ways(letter: Letter, payload: String, whole: bool, was_replayed: bool) -> impl IntoView {
    let (may_replay, may_edit) = (use_may(Permission::QualityReplay), use_may(Permission::QualityEdit));
    let ways = move || {
        let replay = may_replay.get().then(|| view! { <Unchanged letter=letter.clone() was_replayed /> });
        let edit = (may_replay.get() && may_edit.get() && whole).then(|| {
            view! { <Changed letter=letter.clone() payload=payload.clone() was_replayed /> }
        });
        view! { {replay} {edit} }
    };
    view! { <Transition>{ways}</Transition> }.into_any()
}

#[component]
fn Place(letter: Letter) -> impl IntoView {
    view! {
        <input type="hidden" name="topic" value=letter.topic />
        <input type="hidden" name="partition" value=letter.partition.to_string() />
        <input type="hidden" name="offset" value=letter.offset.to_string() />
    }
}

/// Whoever sends it a second time says that this is meant.
fn confirmation(was_replayed: bool) -> Option<impl IntoView> {
    was_replayed.then(|| {
        view! {
            <label class="choice">
                <input type="checkbox" name="again" value="true" required />
                <span>"It was replayed before. Send it once more."</span>
            </label>
        }
    })
}

#[component]
fn Unchanged(letter: Letter, was_replayed: bool) -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="unchanged-title">
            <h2 class="panel-title" id="unchanged-title">
                "Replay as it is"
            </h2>
            <form class="form" method="post" action="/quality/replay">
                <Place letter />
                <p>"Sends it to its topic again, with its key and headers. It helps once the rule or the program is another."</p>
                {confirmation(was_replayed)}
                <button type="submit" class="button">
                    "Replay"
                </button>
            </form>
        </section>
    }
    .into_any()
}

#[component]
fn Changed(letter: Letter, payload: String, was_replayed: bool) -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="changed-title">
            <h2 class="panel-title" id="changed-title">
                "Change and replay"
            </h2>
            <form class="form form-wide" method="post" action="/quality/replay">
                <Place letter />
                <div class="field">
                    <label for="payload">"Content to send"</label>
                    <textarea id="payload" name="payload" class="payload-edit" rows="12" spellcheck="false" required>
                        {payload}
                    </textarea>
                </div>
                {confirmation(was_replayed)}
                <button type="submit" class="button">
                    "Replay the changed content"
                </button>
            </form>
            <p class="field-hint">
                "It is checked before it is sent. Keep event_id, so that it is counted once. The letter stays as it is; what you change is noted."
            </p>
        </section>
    }
    .into_any()
}

#[component]
fn Trail(trail: Vec<Replayed>) -> impl IntoView {
    let body = if trail.is_empty() {
        view! { <p class="empty">"It was never replayed."</p> }.into_any()
    } else {
        view! {
            <div class="table-scroll" tabindex="0" role="region" aria-labelledby="trail-title">
                <table class="stacked">
                    <thead>
                        <tr>
                            <th scope="col">"Time"</th>
                            <th scope="col">"Who"</th>
                            <th scope="col">"Content (SHA-256)"</th>
                            <th scope="col">"Outcome"</th>
                            <th scope="col">"Went to"</th>
                        </tr>
                    </thead>
                    <tbody>{trail.into_iter().map(step).collect_view()}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    view! {
        <section class="panel" aria-labelledby="trail-title">
            <h2 class="panel-title" id="trail-title">
                "Replays"
            </h2>
            {body}
        </section>
    }
    .into_any()
}

fn step(replayed: Replayed) -> impl IntoView {
    let state = match replayed.outcome {
        ReplayOutcome::Begun => "busy",
        ReplayOutcome::Sent => "good",
        ReplayOutcome::Unknown => "warn",
    };
    let short = |hash: &str| format!("{}…", hash.chars().take(12).collect::<String>());
    let content = if replayed.edited {
        format!("changed: {} to {}", short(&replayed.hash_before), short(&replayed.hash_after))
    } else {
        format!("unchanged: {}", short(&replayed.hash_before))
    };
    let went = match (replayed.new_partition, replayed.new_offset) {
        (Some(partition), Some(offset)) => {
            let place = format!("{}/{partition}/{offset}", replayed.topic);
            view! {
                <a class="code" href=format!("/events/{place}")>
                    {place.clone()}
                </a>
            }
            .into_any()
        }
        (Some(partition), None) => format!("partition {partition}").into_any(),
        (None, _) => "–".into_any(),
    };
    let many = replayed.batch.map(|_| view! { <span class="detail">"with others of a filter"</span> });
    view! {
        <tr>
            <th scope="row" class="nowrap" data-label="Time">
                {format::instant(replayed.at)}
            </th>
            <td class="wrap" data-label="Who">
                {replayed.by} {many}
            </td>
            <td class="code wrap" data-label="Content">
                {content}
            </td>
            <td data-label="Outcome">
                <span class="state" data-state=state>
                    <span class="dot" aria-hidden="true"></span>
                    {replayed.outcome.label()}
                </span>
            </td>
            <td class="wrap" data-label="Went to">
                {went}
            </td>
        </tr>
    }
}
