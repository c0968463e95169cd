//! Light, dark, or as the system has it. The server keeps the choice and writes it into the page.

use leptos::prelude::*;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Theme; 3] = [Theme::System, Theme::Light, Theme::Dark];

    pub fn name(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Theme::System => "System",
            Theme::Light => "Light",
            Theme::Dark => "Dark",
        }
    }

    /// What is unknown is left to the system.
    fn from_name(name: &str) -> Theme {
        Theme::ALL.into_iter().find(|theme| theme.name() == name).unwrap_or_default()
    }

    /// For the root element's `data-theme`, at which the style sheet looks; without it the system decides.
    pub fn attribute(self) -> Option<&'static str> {
        (self != Theme::System).then(|| self.name())
    }

    /// For the browser, before the style sheet is there.
    pub fn color_scheme(self) -> &'static str {
        match self {
            Theme::System => "light dark",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

/// The theme of the page: asked of the server where that renders it, else read from the page itself.
#[cfg(feature = "ssr")]
pub fn current() -> Theme {
    let people = use_context::<std::sync::Arc<dyn crate::ports::People>>();
    people.map(|people| Theme::from_name(&people.theme())).unwrap_or_default()
}

#[cfg(not(feature = "ssr"))]
pub fn current() -> Theme {
    let root = document().document_element();
    root.and_then(|root| root.get_attribute("data-theme")).map(|name| Theme::from_name(&name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_left_to_the_system() {
        assert_eq!(Theme::from_name("dark"), Theme::Dark);
        assert_eq!(Theme::from_name("sepia"), Theme::System);
        assert_eq!(Theme::System.attribute(), None);
    }
}
