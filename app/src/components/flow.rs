//! The way of an event as a picture: from the producers to the dashboard, and where it leaves the path.

use leptos::prelude::*;
use model::{
    health::ReplayState,
    live::{Live, Stage, StageLive},
};

use crate::{components::live_strip::gold_age, format};

/// How a station fares: its colour and, beside it, its words.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    /// A name that the style sheet knows: `good`, `busy`, `warn`, `bad` or `idle`.
    tone: &'static str,
    words: String,
}

fn state(tone: &'static str, words: impl Into<String>) -> State {
    State { tone, words: words.into() }
}

/// One box of the picture.
#[derive(Clone, Debug, PartialEq)]
struct Station {
    name: &'static str,
    state: State,
    /// Labels and values, the most telling first.
    facts: Vec<(&'static str, String)>,
    /// Whether events leave it towards the next one right now.
    flowing: bool,
    /// What was put aside here.
    rejected: Option<u64>,
}

#[component]
pub fn Flow(#[prop(into)] live: Signal<Option<Live>>) -> impl IntoView {
    let stations = Memo::new(move |_| stations(&live.read().clone().unwrap_or_default()));
    view! {
        <section class="panel" aria-labelledby="flow-title">
            <h2 class="panel-title" id="flow-title">
                "Flow of events"
            </h2>
            <ol class="flow">{move || stations.get().into_iter().map(draw).collect_view()}</ol>
        </section>
    }
    .into_any()
}

fn draw(station: Station) -> impl IntoView {
    let facts = station
        .facts
        .into_iter()
        .map(|(label, value)| view! { <div><dt>{label}</dt><dd>{value}</dd></div> })
        .collect_view();
    let rejected = station.rejected.map(|rejected| {
        let tone = if rejected == 0 { "good" } else { "warn" };
        view! {
            <p class="flow-branch" data-tone=tone>
                <span class="flow-branch-name">"Dead letters"</span>
                <span>{format::whole(rejected)}</span>
            </p>
        }
    });
    view! {
        <li class="flow-station" data-flowing=station.flowing.to_string()>
            <div class="flow-box" data-tone=station.state.tone>
                <h3>{station.name}</h3>
                <p class="state" data-state=station.state.tone>
                    <span class="dot" aria-hidden="true"></span>
                    {station.state.words}
                </p>
                <dl>{facts}</dl>
            </div>
            {rejected}
        </li>
    }
}

fn stations(live: &Live) -> Vec<Station> {
    let mut stations = vec![producers(live)];
    stations.extend(Stage::ALL.map(|stage| self::stage(live, stage)));
    stations.push(dashboard(live));
    stations
}

/// What is known of them is what they send.
fn producers(live: &Live) -> Station {
    let (flowing, state) = match live.replay.state {
        ReplayState::Pending | ReplayState::Running => (live.workers > 0, state("busy", "Replaying")),
        _ if live.workers > 0 && live.events_per_second > 0.0 => (true, state("good", "Sending")),
        _ => (false, state("idle", "Quiet")),
    };
    let facts = vec![("Topics", live.topics.len().to_string()), ("Events read", format::whole(live.events_total))];
    Station { name: "Producers", state, facts, flowing, rejected: None }
}

fn stage(live: &Live, stage: Stage) -> Station {
    let of_topics: Vec<&StageLive> =
        live.topics.iter().flat_map(|topic| &topic.stages).filter(|one| one.stage == stage).collect();
    let rate: f64 = of_topics.iter().map(|one| one.events_per_second).sum();
    let rejected: u64 = of_topics.iter().map(|one| one.rejected_total).sum();
    let duplicates: u64 = of_topics.iter().map(|one| one.duplicates_total).sum();
    let slowest = of_topics.iter().filter(|one| one.batches_total > 0).map(|one| one.last_batch_ms).fold(0.0, f64::max);

    let mut facts = vec![("Events/s", format::rate(rate))];
    match stage {
        Stage::Consume => facts.push(("Lag", format::whole(live.lag))),
        Stage::Buffer => facts.push(("Waiting", format::whole(live.buffered))),
        Stage::Bronze | Stage::Silver | Stage::Gold => facts.push(("Last batch", format::milliseconds(slowest))),
    }
    if stage == Stage::Silver {
        facts.push(("Duplicates", format::whole(duplicates)));
    }
    Station {
        name: stage.label(),
        state: stage_state(live, stage, rate, &of_topics),
        facts,
        flowing: live.workers > 0 && rate > 0.0,
        rejected: matches!(stage, Stage::Bronze | Stage::Silver).then_some(rejected),
    }
}

fn stage_state(live: &Live, stage: Stage, rate: f64, of_topics: &[&StageLive]) -> State {
    let paused = live.topics.iter().filter(|topic| topic.paused).count();
    if live.workers == 0 {
        state("bad", "Not running")
    } else if of_topics.iter().any(|one| one.error.is_some()) {
        // What failed stands in the table of the topics.
        state("bad", "Failing")
    } else if stage == Stage::Buffer && paused > 0 {
        state("warn", "Full, paused")
    } else if stage == Stage::Consume && live.lag > 0 && rate == 0.0 {
        state("warn", "Waiting to be read")
    } else if rate > 0.0 {
        state("good", "Flowing")
    } else {
        state("idle", "Up to date")
    }
}

fn dashboard(live: &Live) -> Station {
    let delay = live.event_to_gold_ms.map_or_else(|| "–".to_owned(), format::milliseconds);
    let age = gold_age(live).unwrap_or_else(|| "–".to_owned());
    let state =
        if live.gold_committed_at.is_some() { state("good", "Answering") } else { state("idle", "No data yet") };
    Station {
        name: "Dashboard",
        state,
        facts: vec![("Event to Gold", delay), ("Gold commit", age)],
        flowing: false,
        rejected: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_worker_no_stage_claims_to_run() {
        let stations = stations(&Live::default());
        assert_eq!(stations.len(), 7);
        assert!(stations[1..6].iter().all(|station| station.state.tone == "bad" && !station.flowing));
    }
}
