//! SQL over the lake: an editor, what it answers, and what was asked before. The statement stands in the URL, so that it can
//! be shared, and works without JavaScript.

use futures_util::future::{AbortHandle, Abortable};
use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
};
use model::{
    lake::{PastStatement, SqlAnswer, SqlOutcome, SqlTable},
    saved::SavedKind,
};

use crate::{
    api,
    charts::quick::QuickChart,
    components::{
        editor::SqlEditor,
        grid::GridTable,
        icon::{Icon, Shape},
        notice::ProblemNotice,
        save_form::SaveForm,
    },
    format,
    problem::Problem,
    session::leave_when_signed_out,
};

/// A longer statement does not go into the URL, since not every proxy takes it there.
const LONGEST_IN_URL: usize = 4_000;

/// Where the page is with the statement.
#[derive(Clone, Debug, PartialEq)]
enum Run {
    /// What the URL asked for, if anything.
    First,
    Running,
    Cancelled,
    Done(Result<SqlOutcome, Problem>),
}

#[component]
pub fn SqlPage() -> impl IntoView {
    let query = use_query_map();
    let in_url = Memo::new(move |_| query.read().get("q").unwrap_or_default());
    let asked = in_url.get_untracked();
    let text = RwSignal::new(asked.clone());
    // What the answer belongs to.
    let ran = RwSignal::new(asked.clone());
    let run = RwSignal::new(Run::First);
    let tables = Resource::new(|| (), |()| api::get_sql_tables());
    let history = Resource::new(|| (), |()| api::get_statements());
    let first = Resource::new(
        || (),
        move |()| {
            let asked = asked.clone();
            async move { if asked.trim().is_empty() { None } else { Some(api::run_sql(asked).await) } }
        },
    );
    leave_when_signed_out(move || match run.get() {
        Run::Done(Err(problem)) => Some(problem),
        _ => first.get().flatten().and_then(Result::err),
    });

    let running = StoredValue::new(None::<AbortHandle>);
    // Dropping the question ends it on the server too.
    let stop = move || {
        if let Some(handle) = running.try_update_value(Option::take).flatten() {
            handle.abort();
        }
    };
    on_cleanup(stop);
    let navigate = use_navigate();
    let start = Callback::new(move |sql: String| {
        stop();
        let (handle, registration) = AbortHandle::new_pair();
        running.set_value(Some(handle));
        run.set(Run::Running);
        ran.set(sql.clone());
        if sql.len() <= LONGEST_IN_URL {
            let options = NavigateOptions { scroll: false, ..NavigateOptions::default() };
            navigate(&format!("/sql?q={}", format::percent_encoded(&sql)), options);
        }
        spawn_local(async move {
            if let Ok(outcome) = Abortable::new(api::run_sql(sql), registration).await {
                _ = run.try_set(Run::Done(outcome));
                history.refetch();
            }
        });
    });
    // Whoever goes back in the browser, or opens an older statement, gets its text.
    Effect::new(move |_| {
        let asked = in_url.get();
        if !asked.is_empty() && asked != ran.get_untracked() {
            text.set(asked);
        }
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        start.run(text.get_untracked());
    };
    let cancel = move |_| {
        stop();
        run.set(Run::Cancelled);
    };
    let is_running = Memo::new(move |_| run.get() == Run::Running);
    let back = Signal::derive(move || format!("/sql?q={}", format::percent_encoded(&text.read())));
    let known = Signal::derive(move || tables.get().and_then(Result::ok).unwrap_or_default());
    view! {
        <Title text="SQL" />
        <div class="page-head">
            <h1 class="page-title">"SQL"</h1>
            <SaveForm kind=SavedKind::Query text back />
        </div>
        <section class="panel" aria-label="Statement">
            <form class="sql-form" method="get" action="/sql" on:submit=submit>
                <Transition>
                    <SqlEditor name="q" text tables=known />
                </Transition>
                <div class="sql-actions">
                    <button type="submit" class="button" disabled=move || is_running.get()>
                        "Run"
                    </button>
                    {move || {
                        is_running
                            .get()
                            .then(|| {
                                view! {
                                    <button type="button" class="button button-secondary" on:click=cancel>
                                        "Cancel"
                                    </button>
                                }
                            })
                    }}
                    <span class="muted">
                        "One statement that reads. Ctrl or ⌘ and Enter run it. Tables are " <code>"bronze.x"</code> ", "
                        <code>"silver.x"</code> " and " <code>"gold.x"</code> "."
                    </span>
                </div>
            </form>
        </section>
        <Transition>
            {move || {
                let outcome = match run.get() {
                    Run::First => first.get().flatten(),
                    Run::Done(outcome) => Some(outcome),
                    Run::Running => return view! { <p class="sql-state" role="status">"Running…"</p> }.into_any(),
                    Run::Cancelled => return view! { <p class="sql-state" role="status">"Cancelled."</p> }.into_any(),
                };
                outcome.map(|outcome| view! { <Outcome outcome sql=ran start /> }).into_any()
            }}
        </Transition>
        <div class="panels">
            <Transition>{move || known.with(|tables| tables_panel(tables))}</Transition>
            <Transition>
                {move || history.get().and_then(Result::ok).map(|past| view! { <History past /> })}
            </Transition>
        </div>
    }
    .into_any()
}

#[component]
fn Outcome(outcome: Result<SqlOutcome, Problem>, sql: RwSignal<String>, start: Callback<String>) -> impl IntoView {
    match outcome {
        Err(problem) => {
            let href = format!("/sql?q={}", format::percent_encoded(&sql.get_untracked()));
            view! { <ProblemNotice problem href retry=move || start.run(sql.get_untracked()) /> }.into_any()
        }
        Ok(SqlOutcome::Refused(why)) => view! {
            <div class="sql-refused" role="alert">
                <Icon shape=Shape::Warning />
                <p>{why}</p>
            </div>
        }
        .into_any(),
        Ok(SqlOutcome::Answered(answer)) => view! { <Rows answer sql /> }.into_any(),
    }
}

#[component]
fn Rows(answer: SqlAnswer, sql: RwSignal<String>) -> impl IntoView {
    let SqlAnswer { grid, milliseconds } = answer;
    let count = grid.rows.len();
    let rows = if count == 1 { "1 row".to_owned() } else { format!("{} rows", format::whole(count as u64)) };
    let more = if grid.truncated { "; there are more, which an export has" } else { "" };
    let grid = Signal::stored(grid);
    view! {
        <section class="panel" aria-labelledby="rows-title">
            <div class="panel-head">
                <h2 class="panel-title" id="rows-title">
                    "Answer"
                </h2>
                <p class="muted" role="status">
                    {format!("{rows} in {milliseconds} ms{more}")}
                </p>
                <form class="form-inline" method="post" action="/sql/export">
                    <input type="hidden" name="sql" value=sql.get_untracked() />
                    <select name="format" aria-label="Format of the export">
                        <option value="csv">"CSV"</option>
                        <option value="json">"JSON"</option>
                        <option value="parquet">"Parquet"</option>
                        <option value="arrow">"Arrow"</option>
                    </select>
                    <button type="submit" class="button button-secondary">
                        "Export"
                    </button>
                </form>
            </div>
            {if count == 0 {
                view! { <p class="empty">"The statement answers no rows."</p> }.into_any()
            } else {
                view! { <GridTable grid label="Rows of the answer" /> }.into_any()
            }}
            <QuickChart grid />
        </section>
    }
    .into_any()
}

fn tables_panel(tables: &[SqlTable]) -> impl IntoView + use<> {
    let table = |table: &SqlTable| {
        let columns = table
            .columns
            .iter()
            .map(|column| {
                view! {
                    <li>
                        <code>{column.name.clone()}</code>
                        " "
                        <span class="muted">{column.data_type.clone()}</span>
                    </li>
                }
            })
            .collect_view();
        view! {
            <details class="more">
                <summary class="code">{table.name.clone()}</summary>
                <ul class="plain-list">{columns}</ul>
            </details>
        }
    };
    let tables = tables.iter().map(table).collect_view();
    view! {
        <section class="panel" aria-labelledby="sql-tables-title">
            <h2 class="panel-title" id="sql-tables-title">
                "Tables"
            </h2>
            {tables}
        </section>
    }
}

#[component]
fn History(past: Vec<PastStatement>) -> impl IntoView {
    let empty = past.is_empty().then(|| view! { <p class="empty">"What you run is listed here."</p> });
    let items = past
        .into_iter()
        .map(|statement| {
            let href = format!("/sql?q={}", format::percent_encoded(&statement.sql));
            view! {
                <li>
                    <a class="code past-statement" href=href>
                        {statement.sql}
                    </a>
                    <span class="detail">{format::instant(statement.at)}</span>
                </li>
            }
        })
        .collect_view();
    view! {
        <section class="panel" aria-labelledby="past-title">
            <h2 class="panel-title" id="past-title">
                "History"
            </h2>
            {empty}
            <ol class="plain-list past-statements">{items}</ol>
        </section>
    }
    .into_any()
}
