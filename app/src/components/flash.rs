//! What the last action has to say, at the top of the page that comes after it.

use leptos::prelude::*;
use leptos_router::hooks::use_location;
use model::access::Flash;

use crate::{
    api,
    components::{
        copy::Copyable,
        icon::{Icon, Shape},
    },
};

/// Says it on this page only: whoever goes on has read it.
#[component]
pub fn FlashMessage() -> impl IntoView {
    let flash = Resource::new(|| (), |()| api::get_flash());
    let here = use_location().pathname;
    let said_on = here.get_untracked();
    let gone = Memo::new(move |gone| gone == Some(&true) || *here.read() != said_on);
    let message = move || {
        let flash = flash.get().and_then(Result::ok).flatten()?;
        (!gone.get()).then(|| view! { <Message flash /> })
    };
    view! { <Transition>{message}</Transition> }.into_any()
}

#[component]
fn Message(flash: Flash) -> impl IntoView {
    let Flash { good, text, secrets } = flash;
    let shape = if good { Shape::Done } else { Shape::Warning };
    // Several belong together, one a line.
    let secrets = (!secrets.is_empty()).then(|| {
        view! {
            <Copyable text=secrets.join("\n") />
            <p class="flash-note">"This is shown now and never again. Keep it in a safe place."</p>
        }
    });
    view! {
        <div class="flash" data-state=if good { "good" } else { "bad" } role=if good { "status" } else { "alert" }>
            <Icon shape />
            <div class="flash-body">
                <p>{text}</p>
                {secrets}
            </div>
        </div>
    }
    .into_any()
}
