//! The field for SQL: a plain text field, which becomes an editor once the page is alive (`app/js/editor.js`).

#![allow(unsafe_code, reason = "what wasm-bindgen generates for imports")]

use std::collections::BTreeMap;

use leptos::{html::Textarea, prelude::*, task::spawn_local};
use model::lake::SqlTable;
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;

/// Where `scripts/build-web.sh` puts the bundle.
const BUNDLE: &str = "/pkg/editor.js";

// A dynamic import has no binding of its own in Rust.
#[wasm_bindgen(inline_js = "export const load_editor = (url) => import(url);")]
extern "C" {
    #[wasm_bindgen(catch)]
    async fn load_editor(url: &str) -> Result<JsValue, JsValue>;
}

#[wasm_bindgen]
extern "C" {
    type EditorModule;

    #[wasm_bindgen(method, catch, js_name = mount)]
    fn edit(this: &EditorModule, field: &web_sys::Element, tables: &str) -> Result<Handle, JsValue>;

    type Handle;

    #[wasm_bindgen(method)]
    fn set(this: &Handle, text: &str);

    #[wasm_bindgen(method)]
    fn dispose(this: &Handle);
}

/// The editor on the page; dropping it leaves the plain field.
struct Editor(Handle);

impl Drop for Editor {
    fn drop(&mut self) {
        self.0.dispose();
    }
}

#[component]
pub fn SqlEditor(
    /// The name under which the form sends it.
    name: &'static str,
    text: RwSignal<String>,
    /// What is offered while typing.
    #[prop(into)]
    tables: Signal<Vec<SqlTable>>,
) -> impl IntoView {
    let field = NodeRef::<Textarea>::new();
    // Empty on the server, whose threads may each drop it; filled in the browser, which has but one.
    let editor = StoredValue::new(None::<SendWrapper<Editor>>);
    // Effects run in the browser only.
    Effect::new(move || {
        let tables = schema(&tables.read());
        let Some(field) = field.get() else { return };
        if tables.is_empty() {
            return;
        }
        on_cleanup(move || _ = editor.try_update_value(Option::take));
        spawn_local(async move {
            // Where it cannot be loaded, the plain field does.
            let Ok(module) = load_editor(BUNDLE).await else { return };
            let json = serde_json::to_string(&tables).unwrap_or_default();
            if let Ok(handle) = module.unchecked_into::<EditorModule>().edit(&field, &json) {
                _ = editor.try_update_value(|editor| *editor = Some(SendWrapper::new(Editor(handle))));
            }
        });
    });
    Effect::new(move || {
        let text = text.get();
        editor.with_value(|editor| {
            if let Some(editor) = editor {
                editor.0.set(&text);
            }
        });
    });
    view! {
        <textarea
            node_ref=field
            class="sql-field"
            name=name
            rows="8"
            spellcheck="false"
            autocomplete="off"
            autocapitalize="off"
            required
            aria-label="SQL statement"
            placeholder="SELECT date, sum(revenue) AS revenue FROM gold.sales GROUP BY date ORDER BY date"
            prop:value=move || text.get()
            on:input=move |event| text.set(event_target_value(&event))
        >
            {text.get_untracked()}
        </textarea>
    }
    .into_any()
}

/// The columns of each table, by its full name.
fn schema(tables: &[SqlTable]) -> BTreeMap<String, Vec<String>> {
    let names = |table: &SqlTable| table.columns.iter().map(|column| column.name.clone()).collect();
    tables.iter().map(|table| (table.name.clone(), names(table))).collect()
}
