//! Which dead letters are shown. It lives in the URL: a plain form and plain links, with or without JavaScript.

use leptos::prelude::*;
use model::{
    event::Rejection,
    letter::{LetterFilter, STAGES},
    topic::Topic,
};

use crate::format;

pub const LETTERS: &str = "/quality/letters";

/// The page with the filter in its address, from a cursor on.
pub fn address(filter: &LetterFilter, cursor: &str) -> String {
    let fields = filter.fields().into_iter().chain([("cursor", cursor)]);
    let query: Vec<String> = fields
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", format::percent_encoded(value)))
        .collect();
    if query.is_empty() { LETTERS.to_owned() } else { format!("{LETTERS}?{}", query.join("&")) }
}

#[component]
pub fn LetterFilterForm(#[prop(into)] filter: Signal<LetterFilter>) -> impl IntoView {
    let field = move |pick: fn(&LetterFilter) -> &String| move || pick(&filter.read()).clone();
    let rule = field(|filter| &filter.rule);
    let (from, to) = (field(|filter| &filter.from), field(|filter| &filter.to));
    let topics = Topic::ALL
        .map(|topic| {
            view! {
                <option value=topic.name() selected=move || filter.read().topic == topic.name()>
                    {topic.name()}
                </option>
            }
        })
        .collect_view();
    let stages = STAGES
        .map(|stage| {
            view! {
                <option value=stage selected=move || filter.read().stage == stage>
                    {stage_label(stage)}
                </option>
            }
        })
        .collect_view();
    let rejections = Rejection::ALL
        .map(|rejection| {
            view! {
                <option value=rejection.name() selected=move || filter.read().rejection == rejection.name()>
                    {rejection.label()}
                </option>
            }
        })
        .collect_view();
    view! {
        <form class="form form-row" method="get" action=LETTERS role="search" aria-label="Dead letters">
            <div class="field">
                <label for="topic">"Topic"</label>
                <select id="topic" name="topic">
                    <option value="">"Any"</option>
                    {topics}
                </select>
            </div>
            <div class="field">
                <label for="stage">"Refused by"</label>
                <select id="stage" name="stage">
                    <option value="">"Any stage"</option>
                    {stages}
                </select>
            </div>
            <div class="field">
                <label for="rejection">"Reason"</label>
                <select id="rejection" name="rejection">
                    <option value="">"Any"</option>
                    {rejections}
                </select>
            </div>
            <div class="field">
                <label for="rule">"Quality rule"</label>
                <input id="rule" name="rule" type="search" placeholder="Its name" value=rule prop:value=rule />
            </div>
            <div class="field">
                <label for="from">"Came in from"</label>
                <input id="from" name="from" type="date" value=from prop:value=from />
            </div>
            <div class="field">
                <label for="to">"to"</label>
                <input id="to" name="to" type="date" value=to prop:value=to />
            </div>
            <button type="submit" class="button">
                "Show"
            </button>
            <a class="button button-secondary" href=LETTERS rel="external">
                "Clear"
            </a>
        </form>
    }
    .into_any()
}

/// What a stage is called for people.
pub fn stage_label(stage: &str) -> &'static str {
    match stage {
        "bronze" => "Bronze",
        "silver" => "Silver",
        "quality" => "Quality rules",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_only_what_is_asked_for() {
        assert_eq!(address(&LetterFilter::default(), ""), LETTERS);
        let filter = LetterFilter { stage: "quality".to_owned(), rule: "a_b".to_owned(), ..LetterFilter::default() };
        assert_eq!(address(&filter, "x=y"), "/quality/letters?stage=quality&rule=a_b&cursor=x%3Dy");
    }
}
