//! Dead letters: messages that could not be used, those that quality rules put aside among them.

use std::time::Duration;

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use model::{
    access::Permission,
    letter::{LARGEST_BATCH, LetterFilter, LetterPage as Letters, ReplayBatch},
};

use crate::{
    api,
    components::{
        answered::Answered,
        letter_filter::{LetterFilterForm, address},
        letter_table::{BatchTable, LetterTable, in_words},
    },
    format,
    problem::Problem,
    refresh::refresh_every,
    session::use_may,
};

/// While a replay is under way its progress is asked for this often.
const PERIOD: Duration = Duration::from_secs(3);

type Answer = Result<(Letters, Vec<ReplayBatch>), Problem>;

#[component]
pub fn LettersPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        let query = query.read();
        let field = |name| query.get(name).unwrap_or_default();
        let filter = LetterFilter {
            topic: field("topic"),
            stage: field("stage"),
            rejection: field("rejection"),
            rule: field("rule"),
            from: field("from"),
            to: field("to"),
        };
        (filter, field("cursor"))
    });
    let answer: Resource<Answer> = Resource::new(
        move || asked.get(),
        |(filter, cursor)| async move {
            let letters = api::get_letters(filter, cursor).await?;
            Ok((letters, api::get_replays().await?))
        },
    );
    refresh_every(
        || PERIOD,
        move || {
            let running =
                |batches: &[ReplayBatch]| batches.iter().any(|batch| batch.state == model::letter::BatchState::Running);
            let is_under_way =
                answer.with_untracked(|answer| matches!(answer, Some(Ok((_, batches))) if running(batches)));
            if is_under_way {
                answer.refetch();
            }
        },
    );
    let filter = Signal::derive(move || asked.get().0);
    let here = Signal::derive(move || asked.with(|(filter, cursor)| address(filter, cursor)));
    let show = move |(letters, batches): (Letters, Vec<ReplayBatch>)| {
        let (filter, cursor) = asked.get_untracked();
        view! { <Page letters filter cursor /> <BatchTable batches /> }.into_any()
    };
    view! {
        <Title text="Dead letters" />
        <div class="page-head">
            <h1 class="page-title" id="letters-title">
                "Dead letters and quarantine"
            </h1>
            <a class="button button-secondary" href="/quality">
                "Quality"
            </a>
        </div>
        <section class="panel" aria-label="Filter">
            <LetterFilterForm filter />
        </section>
        <Answered answer href=here show />
    }
    .into_any()
}

#[component]
fn Page(letters: Letters, filter: LetterFilter, cursor: String) -> impl IntoView {
    let newest = (!cursor.is_empty())
        .then(|| view! { <a class="button button-secondary" href=address(&filter, "")>"Newest"</a> });
    let older =
        letters.next.map(|next| view! { <a class="button button-secondary" href=address(&filter, &next)>"Older"</a> });
    let may_replay = use_may(Permission::QualityReplay);
    let any = !letters.letters.is_empty();
    let replay_all = move || (any && may_replay.get()).then(|| view! { <ReplayAll filter=filter.clone() /> });
    view! {
        <section class="panel" aria-labelledby="letters-title">
            <LetterTable letters=letters.letters />
            <nav class="pager" aria-label="Pages of the letters">
                {newest}
                {older}
            </nav>
        </section>
        <Transition>{replay_all}</Transition>
    }
    .into_any()
}

/// Sends all that the filter lets through again.
#[component]
fn ReplayAll(filter: LetterFilter) -> impl IntoView {
    let which = in_words(&filter);
    let fields = filter
        .fields()
        .map(|(name, value)| view! { <input type="hidden" name=name value=value.to_owned() /> })
        .collect_view();
    view! {
        <section class="panel" aria-labelledby="replay-all-title">
            <h2 class="panel-title" id="replay-all-title">
                "Replay all of these"
            </h2>
            <form class="form" method="post" action="/quality/replay-all">
                {fields}
                <p>
                    {format!(
                        "{which}: sent to their topics again as they are, the oldest first, at most {}. Those that still cannot be used come back as new letters.",
                        format::whole(LARGEST_BATCH as u64),
                    )}
                </p>
                <label class="choice">
                    <input type="checkbox" name="again" value="true" />
                    <span>"Also those that were replayed before"</span>
                </label>
                <button type="submit" class="button">
                    "Replay all"
                </button>
            </form>
        </section>
    }
    .into_any()
}
