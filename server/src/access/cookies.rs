//! The cookies: what they are called, and how they are set. No script can read any of them.

use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use http::{HeaderMap, HeaderValue};
use model::access::Flash;

use super::{
    keys::{KeyRing, Purpose},
    login::Device,
    sessions::Tokens,
};

/// A flash that nobody fetched is gone after this, in seconds.
const FLASH_SECONDS: i64 = 120;
const THEME_SECONDS: i64 = 365 * 86_400;
const DEVICE_SECONDS: i64 = 365 * 86_400;

/// What is kept in the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Access,
    Refresh,
    /// Between password and second factor.
    SecondStep,
    Flash,
    Theme,
    /// By what the browser is known at the next login.
    Device,
}

/// Reads and sets cookies. With TLS they are `Secure`, and their names bind them to this host.
#[derive(Clone, Copy, Debug)]
pub struct Cookies {
    pub secure: bool,
}

impl Cookies {
    fn name(self, name: Name) -> &'static str {
        match (name, self.secure) {
            (Name::Access, true) => "__Host-access",
            (Name::Access, false) => "access",
            (Name::Refresh, true) => "__Host-refresh",
            (Name::Refresh, false) => "refresh",
            (Name::SecondStep, true) => "__Host-second-step",
            (Name::SecondStep, false) => "second-step",
            (Name::Flash, true) => "__Host-flash",
            (Name::Flash, false) => "flash",
            (Name::Theme, true) => "__Host-theme",
            (Name::Theme, false) => "theme",
            (Name::Device, true) => "__Host-device",
            (Name::Device, false) => "device",
        }
    }

    pub fn get(self, headers: &HeaderMap, name: Name) -> Option<String> {
        CookieJar::from_headers(headers).get(self.name(name)).map(|cookie| cookie.value().to_owned())
    }

    fn set(self, name: Name, value: String, seconds: i64) -> HeaderValue {
        let mut cookie = Cookie::new(self.name(name), value);
        cookie.set_path("/");
        cookie.set_http_only(true);
        cookie.set_secure(self.secure);
        cookie.set_same_site(SameSite::Lax);
        // The library counts in a time of its own, which we would need for this alone.
        HeaderValue::from_str(&format!("{cookie}; Max-Age={seconds}"))
            .expect("values are in base 64, or words of our own")
    }

    pub fn clear(self, name: Name) -> HeaderValue {
        self.set(name, String::new(), 0)
    }

    /// The cookies of a session.
    pub fn session(self, tokens: &Tokens) -> [HeaderValue; 2] {
        [
            self.set(Name::Access, tokens.access.clone(), tokens.access_seconds),
            self.set(Name::Refresh, tokens.refresh.clone(), tokens.refresh_seconds),
        ]
    }

    pub fn no_session(self) -> [HeaderValue; 2] {
        [self.clear(Name::Access), self.clear(Name::Refresh)]
    }

    pub fn second_step(self, token: String) -> HeaderValue {
        self.set(Name::SecondStep, token, 300)
    }

    /// `theme` is one of the three that there are.
    pub fn theme(self, theme: &'static str) -> HeaderValue {
        self.set(Name::Theme, theme.to_owned(), THEME_SECONDS)
    }

    /// The browser is known from now on as one that this person has logged in with. It lets nobody in: it only has a count of
    /// failed logins of its own.
    ///
    /// # Errors
    /// Never in practice.
    pub fn device(self, keys: &KeyRing, device: Device) -> anyhow::Result<HeaderValue> {
        let until = Utc::now().timestamp() + DEVICE_SECONDS;
        let sealed = keys.seal(Purpose::Device, &serde_json::to_vec(&(until, device))?)?;
        Ok(self.set(Name::Device, URL_SAFE_NO_PAD.encode(sealed), DEVICE_SECONDS))
    }

    pub fn read_device(self, keys: &KeyRing, headers: &HeaderMap) -> Option<Device> {
        let sealed = URL_SAFE_NO_PAD.decode(self.get(headers, Name::Device)?).ok()?;
        let (until, device): (i64, Device) = serde_json::from_slice(&keys.unseal(Purpose::Device, &sealed)?).ok()?;
        (until > Utc::now().timestamp()).then_some(device)
    }

    /// What the next page shows. It is sealed: secrets are in it, and nobody else may put words into the page.
    ///
    /// # Errors
    /// Never in practice.
    pub fn flash(self, keys: &KeyRing, flash: &Flash) -> anyhow::Result<HeaderValue> {
        let until = Utc::now().timestamp() + FLASH_SECONDS;
        let sealed = keys.seal(Purpose::Flash, &serde_json::to_vec(&(until, flash))?)?;
        Ok(self.set(Name::Flash, URL_SAFE_NO_PAD.encode(sealed), FLASH_SECONDS))
    }

    pub fn read_flash(self, keys: &KeyRing, headers: &HeaderMap) -> Option<Flash> {
        let sealed = URL_SAFE_NO_PAD.decode(self.get(headers, Name::Flash)?).ok()?;
        let (until, flash): (i64, Flash) = serde_json::from_slice(&keys.unseal(Purpose::Flash, &sealed)?).ok()?;
        (until > Utc::now().timestamp()).then_some(flash)
    }
}

/// The three themes; anything else is the first.
pub fn theme_named(name: &str) -> &'static str {
    ["system", "light", "dark"].into_iter().find(|theme| *theme == name).unwrap_or("system")
}
