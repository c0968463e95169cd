//! The field for a password.

use leptos::prelude::*;

use crate::task::use_alive;

/// Which password is asked for. The browser's keeper of passwords wants to know as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The one that is in use.
    Current,
    /// One that is chosen now; the rule for it is shown.
    New,
}

#[component]
pub fn PasswordField(
    /// Unique on the page.
    id: &'static str,
    /// Of the form's field.
    name: &'static str,
    label: &'static str,
    kind: Kind,
) -> impl IntoView {
    let alive = use_alive();
    let shown = RwSignal::new(false);
    let is_new = kind == Kind::New;
    let rule_id = format!("{id}-rule");
    let described_by = is_new.then(|| rule_id.clone());
    let rule = is_new.then(|| {
        view! {
            <p class="field-hint" id=rule_id>
                "At least 12 characters, and not a common or easily guessed password. A few unrelated words make a good one."
            </p>
        }
    });
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <div class="field-with-button">
                <input
                    id=id
                    name=name
                    type=move || if shown.get() { "text" } else { "password" }
                    autocomplete=if is_new { "new-password" } else { "current-password" }
                    minlength=is_new.then_some("12")
                    aria-describedby=described_by
                    autocapitalize="none"
                    spellcheck="false"
                    required
                />
                <button
                    type="button"
                    class="button button-secondary"
                    aria-pressed=move || shown.get().to_string()
                    aria-controls=id
                    hidden=move || !alive.get()
                    on:click=move |_| shown.update(|shown| *shown = !*shown)
                >
                    "Show"
                    <span class="visually-hidden">" the password: " {label}</span>
                </button>
            </div>
            {rule}
        </div>
    }
    .into_any()
}
