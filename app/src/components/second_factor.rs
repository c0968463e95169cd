//! The second factor of the person who is signed in: off, being set up, or on.

use leptos::prelude::*;
use model::access::SecondFactor;

use crate::{
    components::{
        copy::Copyable,
        notice::Remark,
        password::{Kind, PasswordField},
    },
    format,
};

/// With fewer recovery codes than this it is time for new ones.
const FEW_CODES: i64 = 3;

#[component]
pub fn SecondFactorForms(state: SecondFactor) -> impl IntoView {
    match state {
        SecondFactor::Off => view! { <Begin /> }.into_any(),
        SecondFactor::Pending { secret, qr_code } => view! { <Confirm secret qr_code /> }.into_any(),
        SecondFactor::On { recovery_codes_left } => view! { <On recovery_codes_left /> }.into_any(),
    }
}

#[component]
fn Begin() -> impl IntoView {
    view! {
        <p class="section-text">
            <State state="idle" label="Off" />
            "With a second factor a stolen password is not enough: each login asks for a code of your authenticator app as well."
        </p>
        <form class="form" method="post" action="/profile/second-factor/begin">
            <PasswordField id="begin-password" name="password" label="Your password to set it up" kind=Kind::Current />
            <button type="submit" class="button">
                "Set up a second factor"
            </button>
        </form>
    }
    .into_any()
}

#[component]
fn Confirm(secret: String, qr_code: String) -> impl IntoView {
    view! {
        <ol class="steps">
            <li>
                <p>"Scan this with an authenticator app, or type the key into it."</p>
                <img class="qr-code" src=data_uri(&qr_code) alt="QR code of the key below" width="200" height="200" />
                <Copyable text=secret />
            </li>
            <li>
                <form class="form" method="post" action="/profile/second-factor/confirm">
                    <div class="field">
                        <label for="second-factor-code">"Enter the six digits that the app shows"</label>
                        <input
                            id="second-factor-code"
                            name="code"
                            type="text"
                            class="code-input"
                            inputmode="numeric"
                            autocomplete="one-time-code"
                            required
                        />
                    </div>
                    <button type="submit" class="button">
                        "Turn it on"
                    </button>
                </form>
            </li>
        </ol>
    }
    .into_any()
}

#[component]
fn On(recovery_codes_left: i64) -> impl IntoView {
    let few = (recovery_codes_left < FEW_CODES).then(|| {
        view! {
            <Remark>
                "Few recovery codes are left. Without one, a lost authenticator means asking an administrator for help."
            </Remark>
        }
    });
    view! {
        <p class="section-text">
            <State state="good" label="On" />
            {format!("Each login asks for a code of your authenticator app. Recovery codes left: {recovery_codes_left}.")}
        </p>
        {few}
        <details class="more">
            <summary>"New recovery codes"</summary>
            <form class="form" method="post" action="/profile/second-factor/codes">
                <p class="field-hint">"The old ones stop working."</p>
                <PasswordField id="codes-password" name="password" label="Your password" kind=Kind::Current />
                <button type="submit" class="button">
                    "Make new codes"
                </button>
            </form>
        </details>
        <details class="more">
            <summary>"Turn the second factor off"</summary>
            <form class="form" method="post" action="/profile/second-factor/off">
                <PasswordField id="off-password" name="password" label="Your password to confirm" kind=Kind::Current />
                <button type="submit" class="button button-danger">
                    "Turn it off"
                </button>
            </form>
        </details>
    }
    .into_any()
}

#[component]
fn State(state: &'static str, label: &'static str) -> impl IntoView {
    view! {
        <span class="state" data-state=state>
            <span class="dot" aria-hidden="true"></span>
            {label}
        </span>
        " "
    }
}

/// An image needs no trust: nothing in it runs.
fn data_uri(svg: &str) -> String {
    format!("data:image/svg+xml,{}", format::percent_encoded(svg))
}
