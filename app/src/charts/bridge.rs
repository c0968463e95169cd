//! The few calls into `app/js/charts.js`, which holds the chart library and is fetched when the first chart appears.

#![allow(unsafe_code, reason = "what wasm-bindgen generates for imports")]

use wasm_bindgen::prelude::*;

/// Where `scripts/build-web.sh` puts the bundle.
const BUNDLE: &str = "/pkg/charts.js";

// A dynamic import has no binding of its own in Rust.
#[wasm_bindgen(inline_js = "export const load = (url) => import(url);")]
extern "C" {
    #[wasm_bindgen(catch)]
    async fn load(url: &str) -> Result<JsValue, JsValue>;
}

#[wasm_bindgen]
extern "C" {
    type Module;

    #[wasm_bindgen(method, catch, js_name = mount)]
    fn draw(this: &Module, element: &web_sys::Element, option: &str) -> Result<Handle, JsValue>;

    type Handle;

    #[wasm_bindgen(method)]
    fn update(this: &Handle, option: &str);

    #[wasm_bindgen(method)]
    fn download(this: &Handle, name: &str);

    #[wasm_bindgen(method)]
    fn dispose(this: &Handle);
}

/// A chart on the page; dropping it removes it.
pub struct Drawn(Handle);

impl Drawn {
    pub fn update(&self, option: &str) {
        self.0.update(option);
    }

    /// Hands the reader a picture of the chart as it is, as a file of this name.
    pub fn download(&self, name: &str) {
        self.0.download(name);
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        self.0.dispose();
    }
}

/// Draws the option as it is when the library has loaded, which may take a while the first time.
pub async fn mount(element: &web_sys::Element, option: impl Fn() -> Option<String>) -> Result<Drawn, JsValue> {
    let module: Module = load(BUNDLE).await?.unchecked_into();
    let option = option().ok_or(JsValue::UNDEFINED)?;
    module.draw(element, &option).map(Drawn)
}
