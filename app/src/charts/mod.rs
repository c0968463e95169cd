//! Charts: options built in Rust, drawn by Apache ECharts once the page is alive, and readable without it.

mod bridge;
pub mod explore;
pub mod plot;
pub mod quality;
pub mod quick;
pub mod ranking;
pub mod revenue;

use leptos::{html::Div, prelude::*, task::spawn_local};
use send_wrapper::SendWrapper;
use serde::Serialize;

use crate::components::icon::{Icon, Shape};

/// A chart, a drawing by the server in its place until the chart is there, and its numbers as a table.
#[component]
pub fn Figure<T: Serialize>(
    #[prop(into)] title: Signal<String>,
    /// Unique on the page.
    #[prop(into)]
    id: String,
    /// What is drawn. It is put together in the browser only.
    option: impl Fn() -> T + Send + Sync + 'static,
    /// In pixels, where it is not as high as most.
    #[prop(optional)]
    height: Option<Signal<i32>>,
    /// Whether the numbers are shown without being asked for.
    #[prop(optional)]
    open: bool,
    /// The name of a file, without the ending, as which the chart can be had.
    #[prop(optional)]
    file: Option<Signal<String>>,
    /// Below the title.
    #[prop(optional)]
    subtitle: Option<Signal<String>>,
    /// What stands beside the title.
    #[prop(optional)]
    head: Option<AnyView>,
    /// In the place of the chart, where it cannot be drawn.
    fallback: impl IntoView + 'static,
    /// The numbers that are drawn.
    children: Children,
) -> impl IntoView {
    let element = NodeRef::<Div>::new();
    let (state, drawn) = mount(element, option);
    let title_id = format!("{id}-title");
    let labelled_by = title_id.clone();
    let save = file.map(|file| {
        let save = move |_| {
            drawn.with_value(|drawn| {
                if let Some(drawn) = drawn {
                    drawn.download(&format!("{}.png", file.read_untracked()));
                }
            });
        };
        view! {
            <button type="button" class="button button-secondary" hidden=move || state.get() != Drawing::Ready on:click=save>
                "Save as PNG"
            </button>
        }
    });
    view! {
        <figure class="panel figure" id=id aria-labelledby=labelled_by>
            <figcaption class="figure-head">
                <span class="panel-title" id=title_id>
                    {title}
                </span>
                <span class="figure-actions">{save} {head}</span>
                {subtitle.map(|subtitle| view! { <span class="figure-subtitle">{subtitle}</span> })}
            </figcaption>
            <div
                class="chart"
                data-state=move || state.get().name()
                style:height=move || height.map(|height| format!("{}px", height.get()))
            >
                <div
                    class="chart-canvas"
                    node_ref=element
                    role="img"
                    aria-label=move || format!("{}. The data are in the table below.", title.read())
                ></div>
                <div class="chart-fallback">{fallback}</div>
            </div>
            {move || {
                (state.get() == Drawing::Failed)
                    .then(|| {
                        view! {
                            <p class="chart-message" role="status">
                                <Icon shape=Shape::Info />
                                "The interactive chart could not be loaded. The drawing and the table show the same numbers."
                            </p>
                        }
                    })
            }}
            <details class="data" open=open>
                <summary>"Show the data"</summary>
                <div
                    class="table-scroll"
                    tabindex="0"
                    role="region"
                    aria-label=move || format!("{}: data", title.read())
                >
                    {children()}
                </div>
            </details>
        </figure>
    }
    .into_any()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Drawing {
    /// The server's drawing is shown.
    Waiting,
    Ready,
    Failed,
}

impl Drawing {
    fn name(self) -> &'static str {
        match self {
            Drawing::Waiting => "waiting",
            Drawing::Ready => "ready",
            Drawing::Failed => "failed",
        }
    }
}

/// The chart, once it is drawn. Empty on the server, whose threads may each drop it; filled in the browser, which has but one.
type Drawn = StoredValue<Option<SendWrapper<bridge::Drawn>>>;

/// Draws into the element as soon as it and the library are there, again whenever the option changes, and cleans up.
fn mount<T: Serialize>(
    element: NodeRef<Div>,
    option: impl Fn() -> T + Send + Sync + 'static,
) -> (RwSignal<Drawing>, Drawn) {
    let state = RwSignal::new(Drawing::Waiting);
    let drawn: Drawn = StoredValue::new(None);
    let json = Memo::new(move |_| serde_json::to_string(&option()).unwrap_or_default());
    // Effects run in the browser only.
    Effect::new(move || {
        let Some(element) = element.get() else { return };
        // Within the effect: the server renders on many threads, and must not touch what belongs to the browser's one.
        on_cleanup(move || _ = drawn.try_update_value(Option::take));
        spawn_local(async move {
            let mounted = bridge::mount(&element, || json.try_get_untracked()).await;
            // The page may be gone by now; then nothing keeps the chart, and dropping it disposes of it.
            match mounted {
                Ok(chart) => {
                    let homeless = drawn.try_update_value(|drawn| *drawn = Some(SendWrapper::new(chart))).is_none();
                    if !homeless {
                        state.set(Drawing::Ready);
                    }
                }
                Err(_) => _ = state.try_set(Drawing::Failed),
            }
        });
    });
    Effect::new(move || {
        let json = json.get();
        drawn.with_value(|drawn| {
            if let Some(drawn) = drawn {
                drawn.update(&json);
            }
        });
    });
    (state, drawn)
}
