//! Keys with which programs ask the API in a person's name.

use leptos::prelude::*;
use leptos_meta::Title;
use model::access::{ApiKeySummary, Me};

use crate::{
    api,
    components::{answered::Answered, api_keys::ApiKeyTable, permission_boxes::PermissionBoxes},
    session::use_me,
};

const HERE: &str = "/keys";

#[component]
pub fn KeysPage() -> impl IntoView {
    let me = use_me();
    let keys = Resource::new(|| (), |()| api::get_api_keys());
    view! {
        <Title text="API keys" />
        <h1 class="page-title">"API keys"</h1>
        <p class="muted">"A key lets a program ask what you may see. " <a href="/docs">"What programs can ask"</a></p>
        <Answered answer=keys href=HERE show=|keys| view! { <Keys keys /> }.into_any() />
        <Answered answer=me href=HERE show=|me| view! { <NewKey me /> }.into_any() />
    }
    .into_any()
}

#[component]
fn Keys(keys: Vec<ApiKeySummary>) -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="keys-title">
            <h2 class="panel-title" id="keys-title">
                "Keys"
            </h2>
            <ApiKeyTable keys />
        </section>
    }
    .into_any()
}

#[component]
fn NewKey(me: Me) -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="new-key-title">
            <h2 class="panel-title" id="new-key-title">
                "New key"
            </h2>
            <form class="form" method="post" action="/keys/create">
                <div class="form-row">
                    <div class="field">
                        <label for="key-name">"Name"</label>
                        <input id="key-name" name="name" type="text" autocomplete="off" maxlength="100" aria-describedby="key-name-hint" required />
                        <p class="field-hint" id="key-name-hint">
                            "What it is for, such as the program that uses it."
                        </p>
                    </div>
                    <div class="field">
                        <label for="key-days">"Works for this many days"</label>
                        <input id="key-days" name="days" type="number" min="1" max="365" value="90" required />
                    </div>
                </div>
                <PermissionBoxes legend="May" offered=me.permissions />
                <button type="submit" class="button">
                    "Make the key"
                </button>
            </form>
        </section>
    }
    .into_any()
}
