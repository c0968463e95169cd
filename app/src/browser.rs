//! The few functions of the browser that have no binding among those that the project builds.

#![allow(unsafe_code, reason = "what wasm-bindgen generates for imports")]

use futures_channel::oneshot;
use js_sys::{Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

#[wasm_bindgen]
extern "C" {
    type LockManager;

    #[wasm_bindgen(method, catch)]
    fn request(this: &LockManager, name: &str, work: &JsValue) -> Result<JsValue, JsValue>;

    type Clipboard;

    #[wasm_bindgen(method, catch, js_name = writeText)]
    async fn write_text(this: &Clipboard, text: &str) -> Result<JsValue, JsValue>;

    type SessionStorage;

    #[wasm_bindgen(method, catch, js_name = getItem)]
    fn get_item(this: &SessionStorage, key: &str) -> Result<Option<String>, JsValue>;

    #[wasm_bindgen(method, catch, js_name = setItem)]
    fn set_item(this: &SessionStorage, key: &str, value: &str) -> Result<(), JsValue>;
}

/// What the global names lead to, one inside the other; nothing where the browser lacks it or does not allow it.
fn find(names: &[&str]) -> Option<JsValue> {
    names.iter().try_fold(JsValue::from(js_sys::global()), |object, name| {
        let found = Reflect::get(&object, &JsValue::from_str(name)).ok()?;
        (!found.is_null() && !found.is_undefined()).then_some(found)
    })
}

/// A lock that all tabs of the site share. Dropping it lets the next one have it.
pub struct Lock {
    _release: oneshot::Sender<()>,
}

/// Waits for the lock. There is none where the page did not come over a secure connection, or the browser is old.
pub async fn lock(name: &str) -> Option<Lock> {
    let locks: LockManager = find(&["navigator", "locks"])?.unchecked_into();
    let (granted, wait) = oneshot::channel();
    let (release, released) = oneshot::channel::<()>();
    // The browser holds the lock until the promise is fulfilled: when the other end of the channel is dropped.
    let hold = Closure::once_into_js(move |_lock: JsValue| -> Promise {
        _ = granted.send(());
        future_to_promise(async move {
            _ = released.await;
            Ok(JsValue::UNDEFINED)
        })
    });
    locks.request(name, &hold).ok()?;
    wait.await.ok()?;
    Some(Lock { _release: release })
}

/// Puts the text on the clipboard; answers whether that worked.
pub async fn copy(text: &str) -> bool {
    let Some(clipboard) = find(&["navigator", "clipboard"]) else { return false };
    clipboard.unchecked_into::<Clipboard>().write_text(text).await.is_ok()
}

fn session_storage() -> Option<SessionStorage> {
    find(&["sessionStorage"]).map(JsCast::unchecked_into)
}

/// What this tab remembers under a key from page to page.
pub fn remembered(key: &str) -> Option<String> {
    session_storage()?.get_item(key).ok()?
}

/// Answers whether the tab will remember it.
pub fn remember(key: &str, value: &str) -> bool {
    session_storage().is_some_and(|storage| storage.set_item(key, value).is_ok())
}
