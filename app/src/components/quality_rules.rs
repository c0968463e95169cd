//! The quality rules as a table, the values of which most rows fail, and rows that failed.

use std::cmp::Reverse;

use leptos::prelude::*;
use model::quality::{self, RuleReport, RuleSample};

use crate::format;

#[component]
pub fn RuleTable(rules: Vec<RuleReport>) -> impl IntoView {
    let body = if rules.is_empty() {
        view! { <p class="empty">"There are no rules. They are declared in the settings, under quality.rules."</p> }
            .into_any()
    } else {
        view! {
            <div class="table-scroll" tabindex="0" role="region" aria-labelledby="rules-title">
                <table class="stacked">
                    <thead>
                        <tr>
                            <th scope="col">"Rule"</th>
                            <th scope="col">"Holds where"</th>
                            <th scope="col">"Else"</th>
                            <th scope="col" class="number">
                                "Rows"
                            </th>
                            <th scope="col" class="number">
                                "Failed"
                            </th>
                            <th scope="col" class="number">
                                "Passed"
                            </th>
                        </tr>
                    </thead>
                    <tbody>{rules.into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    view! {
        <section class="panel" aria-labelledby="rules-title">
            <h2 class="panel-title" id="rules-title">
                "Rules"
            </h2>
            {body}
        </section>
    }
    .into_any()
}

fn row(report: RuleReport) -> impl IntoView {
    let rate = format::pass_rate(report.pass_rate());
    let last =
        report.last_failed.map(|at| view! { <span class="detail">{format!("last {}", format::instant(at))}</span> });
    let letters = (report.rule.action == quality::Action::Quarantine && report.failed > 0).then(|| {
        let href = format!("/quality/letters?rule={}", report.rule.name);
        view! {
            <a class="detail" href=href>
                "Show the letters"
            </a>
        }
    });
    let expression = shortened(&report.rule.expression);
    let rule = report.rule.name.clone();
    view! {
        <tr data-rule=rule>
            <th scope="row" class="wrap" data-label="Rule">
                <span class="code">{report.rule.name}</span>
                <span class="detail">{report.rule.description}</span>
            </th>
            <td class="wrap" data-label="Holds where">
                <span class="code">{expression}</span>
                <span class="detail code">{report.rule.table}</span>
            </td>
            <td data-label="Else">
                {report.rule.action.label()} {letters}
            </td>
            <td class="number" data-label="Rows">
                {format::whole(report.checked)}
            </td>
            <td class="number" data-label="Failed">
                {format::whole(report.failed)} {last}
            </td>
            <td class="number" data-label="Passed">
                <span class="state" data-state=state(report.checked, report.failed)>
                    <span class="dot" aria-hidden="true"></span>
                    {rate}
                </span>
            </td>
        </tr>
    }
}

fn state(checked: u64, failed: u64) -> &'static str {
    match (checked, failed) {
        (0, _) => "off",
        (_, 0) => "good",
        _ => "warn",
    }
}

/// A list of a hundred values says no more than its beginning.
fn shortened(expression: &str) -> String {
    let words: Vec<&str> = expression.split_whitespace().collect();
    let text = words.join(" ");
    match text.char_indices().nth(90) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Which values fail which rule most.
#[component]
pub fn OffenderTable(rules: Vec<RuleReport>) -> impl IntoView {
    let mut worst: Vec<(String, String, String, u64)> = Vec::new();
    for report in rules {
        for offender in report.offenders {
            worst.push((report.rule.name.clone(), report.dimension.clone(), offender.value, offender.failed));
        }
    }
    worst.sort_by_key(|offender| Reverse(offender.3));
    worst.truncate(12);
    let body = if worst.is_empty() {
        view! { <p class="empty">"Every row passed every rule."</p> }.into_any()
    } else {
        let rows = worst
            .into_iter()
            .map(|(rule, dimension, value, failed)| {
                let value = if value.is_empty() { "unknown".to_owned() } else { value };
                view! {
                    <tr>
                        <th scope="row" class="code" data-label="Rule">
                            {rule}
                        </th>
                        <td class="wrap" data-label="Where">
                            <span class="code">{dimension}</span>
                            " is "
                            {value}
                        </td>
                        <td class="number" data-label="Failed">
                            {format::whole(failed)}
                        </td>
                    </tr>
                }
            })
            .collect_view();
        view! {
            <div class="table-scroll" tabindex="0" role="region" aria-labelledby="offenders-title">
                <table class="stacked">
                    <thead>
                        <tr>
                            <th scope="col">"Rule"</th>
                            <th scope="col">"Where"</th>
                            <th scope="col" class="number">
                                "Failed rows"
                            </th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    view! {
        <section class="panel" aria-labelledby="offenders-title">
            <h2 class="panel-title" id="offenders-title">
                "Worst offenders"
            </h2>
            {body}
        </section>
    }
    .into_any()
}

/// Rows that failed, each with its event.
#[component]
pub fn SampleTable(samples: Vec<RuleSample>) -> impl IntoView {
    let body = if samples.is_empty() {
        view! { <p class="empty">"No row failed."</p> }.into_any()
    } else {
        view! {
            <div class="table-scroll" tabindex="0" role="region" aria-labelledby="samples-title">
                <table class="stacked">
                    <thead>
                        <tr>
                            <th scope="col">"Rule"</th>
                            <th scope="col">"Found"</th>
                            <th scope="col">"Event"</th>
                            <th scope="col">"Time"</th>
                        </tr>
                    </thead>
                    <tbody>{samples.into_iter().map(sample).collect_view()}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    view! {
        <section class="panel" aria-labelledby="samples-title">
            <h2 class="panel-title" id="samples-title">
                "Rows that failed lately"
            </h2>
            {body}
        </section>
    }
    .into_any()
}

fn sample(found: RuleSample) -> impl IntoView {
    let place = format!("{}/{}/{}", found.topic, found.sample.partition, found.sample.offset);
    view! {
        <tr>
            <th scope="row" class="code" data-label="Rule">
                {found.rule}
            </th>
            <td class="code wrap" data-label="Found">
                {found.sample.values}
            </td>
            <td class="wrap" data-label="Event">
                <a class="code" href=format!("/events/{place}")>
                    {place.clone()}
                </a>
            </td>
            <td class="nowrap" data-label="Time">
                {format::instant(found.at)}
            </td>
        </tr>
    }
}
