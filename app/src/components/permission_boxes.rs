//! Permissions to tick in a form.

use leptos::prelude::*;
use model::access::Permission;

#[component]
pub fn PermissionBoxes(
    legend: &'static str,
    /// What can be ticked.
    offered: Vec<Permission>,
    /// What is ticked at first.
    #[prop(optional)]
    chosen: Vec<Permission>,
) -> impl IntoView {
    let boxes = offered
        .into_iter()
        .map(move |permission| {
            view! {
                <label class="choice">
                    <input type="checkbox" name="permissions" value=permission.name() checked=chosen.contains(&permission) />
                    <span>
                        <span class="code">{permission.name()}</span>
                        <span class="detail">{permission.description()}</span>
                    </span>
                </label>
            }
        })
        .collect_view();
    view! {
        <fieldset class="choices">
            <legend>{legend}</legend>
            {boxes}
        </fieldset>
    }
    .into_any()
}
