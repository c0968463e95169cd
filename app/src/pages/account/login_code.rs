//! The second step of a login, for who has a second factor.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{layout::CalmFrame, pages::account::Carried};

#[component]
pub fn LoginCodePage() -> impl IntoView {
    view! {
        <Title text="Second factor" />
        <CalmFrame>
            <h1 class="page-title">"One more step"</h1>
            <form class="form" method="post" action="/login/code">
                <Carried name="next" otherwise="/" />
                <div class="field">
                    <label for="code">"Code"</label>
                    <input
                        id="code"
                        name="code"
                        type="text"
                        class="code-input"
                        inputmode="numeric"
                        autocomplete="one-time-code"
                        autocapitalize="none"
                        spellcheck="false"
                        aria-describedby="code-hint"
                        required
                        autofocus
                    />
                    <p class="field-hint" id="code-hint">
                        "The six digits that your authenticator app shows now. A recovery code works as well."
                    </p>
                </div>
                <button type="submit" class="button button-wide">
                    "Go on"
                </button>
            </form>
            <p>
                <a href="/login" rel="external">
                    "Begin again"
                </a>
            </p>
        </CalmFrame>
    }
    .into_any()
}
