//! Rows and columns of any kind, which can be sorted.

use std::cmp::Ordering;

use leptos::prelude::*;
use model::lake::{Grid, GridColumn};

use crate::components::sortable::{Order, SortHeader};

/// Longer texts are cut in the table; whoever wants all of one exports it.
const LONGEST: usize = 300;

/// The address that a row leads to.
pub type RowHref = fn(&[GridColumn], &[Option<String>]) -> Option<String>;

#[component]
pub fn GridTable(
    #[prop(into)] grid: Signal<Grid>,
    /// What the rows are, for those who cannot see the table.
    #[prop(into)]
    label: String,
    /// Where a row leads, if anywhere.
    #[prop(optional)]
    href: Option<RowHref>,
) -> impl IntoView {
    let order = RwSignal::new(None::<Order<usize>>);
    // Other columns: the order means nothing any more.
    let columns = Memo::new(move |_| grid.with(|grid| grid.columns.clone()));
    Effect::new(move |before: Option<()>| {
        columns.track();
        if before.is_some() {
            order.set(None);
        }
    });
    let head = move || {
        let header = |(index, column): (usize, GridColumn)| {
            let number = column.is_number();
            view! { <SortHeader order column=index label=column.name number /> }
        };
        let link = href.map(|_| view! { <th scope="col">"Event"</th> });
        view! {
            {link}
            {columns.get().into_iter().enumerate().map(header).collect_view()}
        }
    };
    let rows = move || {
        let grid = grid.read();
        let mut rows: Vec<&Vec<Option<String>>> = grid.rows.iter().collect();
        if let Some(order) = order.get()
            && let Some(column) = grid.columns.get(order.column)
        {
            let number = column.is_number();
            rows.sort_by(|one, other| compare(cell(one, order), cell(other, order), number, order));
        }
        let numbers: Vec<bool> = grid.columns.iter().map(GridColumn::is_number).collect();
        let link = |row: &[Option<String>]| {
            let href = href?(&grid.columns, row);
            Some(view! { <td>{href.map(|href| view! { <a href=href>"Show"</a> })}</td> })
        };
        rows.into_iter().map(|row| view! { <tr>{link(row)} {cells(row, &numbers)}</tr> }).collect_view()
    };
    view! {
        <div class="table-scroll grid-scroll" tabindex="0" role="region" aria-label=label>
            <table class="grid">
                <thead>
                    <tr>{head}</tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn cell(row: &[Option<String>], order: Order<usize>) -> Option<&str> {
    row.get(order.column).and_then(Option::as_deref)
}

/// What is null comes last, whichever way is sorted.
fn compare(one: Option<&str>, other: Option<&str>, number: bool, order: Order<usize>) -> Ordering {
    let (one, other) = match (one, other) {
        (Some(one), Some(other)) => (one, other),
        (one, other) => return other.is_some().cmp(&one.is_some()),
    };
    let numbers = || one.parse::<f64>().ok().zip(other.parse::<f64>().ok());
    order.apply(match numbers().filter(|_| number) {
        Some((one, other)) => one.total_cmp(&other),
        None => one.cmp(other),
    })
}

fn cells(row: &[Option<String>], numbers: &[bool]) -> Vec<AnyView> {
    let show = |(value, number): (&Option<String>, &bool)| {
        let class = if *number { "number" } else { "grid-text" };
        match value {
            None => view! { <td class=class><span class="null">"null"</span></td> }.into_any(),
            Some(text) => view! { <td class=class>{shortened(text)}</td> }.into_any(),
        }
    };
    row.iter().zip(numbers).map(show).collect()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_sorted_as_numbers_and_null_comes_last() {
        let sorted = |descending| {
            let mut values = [Some("10"), None, Some("9"), Some("-1.5")];
            let order = Order { column: 0, descending };
            values.sort_by(|one, other| compare(*one, *other, true, order));
            values
        };
        assert_eq!(sorted(false), [Some("-1.5"), Some("9"), Some("10"), None]);
        assert_eq!(sorted(true), [Some("10"), Some("9"), Some("-1.5"), None]);
    }
}
