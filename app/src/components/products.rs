//! The best-selling products.

use leptos::prelude::*;
use model::overview::Overview;

use crate::{
    components::bars::{Bar, greatest, share},
    format,
};

#[component]
pub fn ProductTable(#[prop(into)] overview: Signal<Overview>) -> impl IntoView {
    let rows = move || {
        let overview = overview.read();
        let top = greatest(&overview.products);
        overview
            .products
            .iter()
            .map(|product| {
                view! {
                    <tr>
                        <th scope="row">
                            {product.label.clone()}
                            {product.detail.clone().map(|detail| view! { <span class="detail">{detail}</span> })}
                        </th>
                        <td class="number">{format::money(product.revenue)}</td>
                        <td class="bar-cell">
                            <Bar share=share(product.revenue, top) />
                        </td>
                        <td class="number">{format::count(product.count)}</td>
                    </tr>
                }
            })
            .collect_view()
    };
    view! {
        <section class="panel" id="products" aria-labelledby="products-title">
            <h2 class="panel-title" id="products-title">
                "Top products"
            </h2>
            <div class="table-scroll" tabindex="0" role="region" aria-labelledby="products-title">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Product"</th>
                            <th scope="col" class="number">
                                "Revenue"
                            </th>
                            <td class="bar-cell"></td>
                            <th scope="col" class="number">
                                "Units"
                            </th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}
