//! Column headers that sort. Without JavaScript the table keeps the order in which it came.

use leptos::prelude::*;

/// By which column, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order<C> {
    pub column: C,
    pub descending: bool,
}

impl<C: Copy + PartialEq> Order<C> {
    /// The same column turns around; another begins where its interesting end is.
    fn after_click(self, column: C, descending_first: bool) -> Order<C> {
        let descending = if self.column == column { !self.descending } else { descending_first };
        Order { column, descending }
    }

    pub fn apply(self, ordering: std::cmp::Ordering) -> std::cmp::Ordering {
        if self.descending { ordering.reverse() } else { ordering }
    }
}

#[component]
pub fn SortHeader<C>(
    order: RwSignal<Option<Order<C>>>,
    column: C,
    #[prop(into)] label: String,
    /// Numbers stand at the right and sort from the greatest down.
    #[prop(optional)]
    number: bool,
) -> impl IntoView
where
    C: Copy + PartialEq + Send + Sync + 'static,
{
    let direction = move || match order.get() {
        Some(order) if order.column == column => Some(if order.descending { "descending" } else { "ascending" }),
        _ => None,
    };
    let sort = move |_| {
        order.update(|order| {
            *order = Some(match *order {
                Some(order) => order.after_click(column, number),
                None => Order { column, descending: number },
            });
        });
    };
    view! {
        <th scope="col" class:number=number aria-sort=direction>
            <button type="button" class="sort" on:click=sort>
                {label}
                <span class="sort-mark" aria-hidden="true"></span>
            </button>
        </th>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_click_turns_the_order_around() {
        let order = Order { column: 1, descending: true };
        assert_eq!(order.after_click(1, true), Order { column: 1, descending: false });
        assert_eq!(order.after_click(2, true), Order { column: 2, descending: true });
        assert_eq!(order.after_click(3, false), Order { column: 3, descending: false });
    }
}
