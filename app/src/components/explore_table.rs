//! The numbers of a view as a table. Each row is a way one step down; a click on the chart follows the same links.

use leptos::prelude::*;
use model::{access::Permission, overview::change_percent, query::Row, range::Granularity};

use crate::{charts::explore::Explored, format, session::use_may};

/// What a row shows. Rows that stay the same are kept as they are, with whatever has the focus in them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Line {
    /// Its place in the answer, which charts name.
    place: usize,
    heads: Vec<Head>,
    cells: Vec<Cell>,
    /// The rows that it was added up from, for who may see them.
    rows: Option<String>,
}

/// What a row is about: a time, a value of the split.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Head {
    label: String,
    href: Option<String>,
    /// Said of the link to those who do not see the table.
    hint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cell {
    text: String,
    direction: Option<&'static str>,
}

#[component]
pub fn ExploreTable(explored: Memo<Explored>) -> impl IntoView {
    let may = use_may(Permission::PipelineRead);
    let lines = Memo::new(move |_| explored.with(|explored| lines(explored, may.get())));
    let heads = Memo::new(move |_| explored.with(|explored| columns(explored, may.get())));
    let heads = move || {
        heads
            .get()
            .into_iter()
            .map(|(label, is_number)| {
                view! {
                    <th scope="col" class:number=is_number>
                        {label}
                    </th>
                }
            })
            .collect_view()
    };
    view! {
        <table class="explore-table">
            <caption class="visually-hidden">{move || explored.with(|explored| explored.view.title())}</caption>
            <thead>
                <tr>{heads}</tr>
            </thead>
            <tbody>
                <For each=move || lines.get() key=Clone::clone let:line>
                    {row(line)}
                </For>
            </tbody>
        </table>
    }
    .into_any()
}

/// The columns' names, and whether numbers stand below.
fn columns(Explored { view, answer }: &Explored, may_see_rows: bool) -> Vec<(String, bool)> {
    let mut columns: Vec<(String, bool)> = Vec::new();
    columns.extend(answer.granularity.map(|_| ("Time (UTC)".to_owned(), false)));
    columns.extend(view.split.map(|dimension| (dimension.label().to_owned(), false)));
    for metric in view.metrics() {
        columns.push((metric.label.to_owned(), true));
        if !answer.previous.is_empty() {
            columns.push((format!("{} before", metric.label), true));
            columns.push(("Change".to_owned(), true));
        }
    }
    columns.extend(may_see_rows.then(|| ("Behind it".to_owned(), true)));
    columns
}

/// The newest first: that is what one looks up. Within a time the greatest first.
fn lines(explored: &Explored, may_see_rows: bool) -> Vec<Line> {
    let rows = &explored.answer.rows;
    let mut places: Vec<usize> = (0..rows.len()).collect();
    if explored.answer.granularity.is_some() {
        places.sort_by(|one, other| rows[*other].time.cmp(&rows[*one].time).then(one.cmp(other)));
    }
    places.into_iter().map(|place| line(explored, place, may_see_rows)).collect()
}

fn line(Explored { view, answer }: &Explored, place: usize, may_see_rows: bool) -> Line {
    let row = &answer.rows[place];
    let mut heads = Vec::new();
    heads.extend(answer.granularity.zip(row.time).map(|(granularity, time)| Head {
        label: format::bucket(granularity, time),
        href: view.zoomed_to(granularity, time).map(|view| view.href()),
        hint: if granularity == Granularity::Hour { "Only this day: " } else { "Only this time: " }.to_owned(),
    }));
    heads.extend(view.split.map(|dimension| Head {
        label: answer.name_of(row.key.as_deref()),
        href: view.narrowed_to(row.key.as_deref()).map(|view| view.href()),
        hint: format!("Only this {}: ", dimension.label().to_lowercase()),
    }));
    let value = |row: Option<&Row>, index: usize| row.and_then(|row| row.values.get(index).copied().flatten());
    let mut cells = Vec::new();
    for (index, metric) in view.metrics().iter().enumerate() {
        let written = |value: Option<_>| Cell {
            text: value.map_or_else(|| "–".to_owned(), |value| format::by_unit(metric.unit, value)),
            direction: None,
        };
        let now = value(Some(row), index);
        cells.push(written(now));
        if !answer.previous.is_empty() {
            let before = value(answer.previous.get(place), index);
            cells.push(written(before));
            let change = change_percent(now, before);
            cells.push(Cell {
                text: change.map_or_else(|| "–".to_owned(), format::change),
                direction: Some(format::direction(change)),
            });
        }
    }
    let rows = may_see_rows.then(|| format!("/rows?{}", view.rows_query(answer.interval, answer.granularity, row)));
    Line { place, heads, cells, rows }
}

fn row(line: Line) -> AnyView {
    let about = line.heads.iter().map(|head| head.label.as_str()).collect::<Vec<_>>().join(", ");
    let rows = line.rows.map(|href| {
        view! {
            <td class="behind">
                <a href=href aria-label=format!("Rows behind {about}")>
                    "Rows"
                </a>
            </td>
        }
    });
    // The last link is the one that a click on the chart follows: where a time is split, the value that was hit.
    let last = line.heads.iter().rposition(|head| head.href.is_some());
    let heads = line.heads.into_iter().enumerate().map(|(place, head)| {
        let label = match head.href {
            Some(href) => view! {
                <a href=href data-drill=(Some(place) == last).then_some("")>
                    <span class="visually-hidden">{head.hint}</span>
                    {head.label}
                </a>
            }
            .into_any(),
            None => head.label.into_any(),
        };
        view! { <th scope="row">{label}</th> }
    });
    let cells = line.cells.into_iter().map(|cell| {
        view! {
            <td class="number" class:change=cell.direction.is_some() data-direction=cell.direction>
                {cell.text}
            </td>
        }
    });
    view! { <tr data-row=line.place>{heads.collect_view()} {cells.collect_view()} {rows}</tr> }.into_any()
}

#[cfg(test)]
mod tests {
    use model::explore::{ExploreAnswer, ExploreView};

    use super::*;

    fn explored(query: &str, previous: Option<i64>) -> Explored {
        let view = ExploreView::parse(query).expect("a view");
        let at = |day: u32| format!("2025-11-{day:02}T00:00:00Z").parse().expect("a time");
        let row = |day: u32, key: &str, value: i64| Row {
            time: Some(at(day)),
            key: view.split.map(|_| key.to_owned()),
            values: vec![Some(value.into())],
        };
        let rows = vec![row(3, "7", 30), row(3, "8", 20), row(4, "7", 10)];
        let previous =
            previous.map(|value| rows.iter().map(move |one| Row { values: vec![Some(value.into())], ..one.clone() }));
        let answer = ExploreAnswer {
            interval: view.range.interval(at(5)),
            granularity: Some(Granularity::Day),
            computed_at: at(5),
            previous: previous.into_iter().flatten().collect(),
            rows,
            more: false,
            names: std::collections::BTreeMap::new(),
        };
        Explored { view, answer }
    }

    #[test]
    fn the_newest_comes_first_and_rows_keep_their_places() {
        let lines = lines(&explored("split=store", None), true);
        let behind = "/rows?metric=revenue&from=2025-11-03T00:00:00Z&to=2025-11-04T00:00:00Z&filter=store:7";
        assert_eq!(lines[1].rows.as_deref(), Some(behind));
        assert_eq!(lines.iter().map(|line| line.place).collect::<Vec<_>>(), [2, 0, 1]);
        let heads: Vec<_> = lines[1].heads.iter().map(|head| (head.label.as_str(), head.href.as_deref())).collect();
        assert_eq!(
            heads,
            [
                ("Mon 3 Nov 2025", Some("/explore?metric=revenue&from=2025-11-03&to=2025-11-03&split=store")),
                ("7", Some("/explore?metric=revenue&range=1y&filter=store:7")),
            ]
        );
    }

    #[test]
    fn a_comparison_has_three_columns() {
        let explored = explored("compare=yes", Some(20));
        let names: Vec<_> = columns(&explored, false).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Time (UTC)", "Revenue", "Revenue before", "Change"]);
        let line = line(&explored, 0, false);
        let cells: Vec<_> = line.cells.iter().map(|cell| (cell.text.as_str(), cell.direction)).collect();
        assert_eq!(cells, [("$30.00", None), ("$20.00", None), ("+50.0%", Some("up"))]);
    }
}
