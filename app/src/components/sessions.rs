//! Sessions as a table, each with a button that ends it.

use leptos::prelude::*;
use model::access::SessionSummary;

use crate::format;

/// Whose sessions are listed, and which form ends one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Own,
    Everybodys,
}

impl Whose {
    fn action(self) -> &'static str {
        match self {
            Whose::Own => "/profile/sessions/end",
            Whose::Everybodys => "/admin/sessions/end",
        }
    }
}

#[component]
pub fn SessionTable(
    sessions: Vec<SessionSummary>,
    whose: Whose,
    /// The id of the heading that names the table.
    titled_by: &'static str,
) -> impl IntoView {
    if sessions.is_empty() {
        return view! { <p class="empty">"There are no open sessions."</p> }.into_any();
    }
    let user = (whose == Whose::Everybodys).then(|| view! { <th scope="col">"User"</th> });
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-labelledby=titled_by>
            <table class="stacked">
                <thead>
                    <tr>
                        {user}
                        <th scope="col">"Browser or program"</th>
                        <th scope="col">"Address"</th>
                        <th scope="col">"Began"</th>
                        <th scope="col">"Last used"</th>
                        <th scope="col">"Ends"</th>
                        <th scope="col">
                            <span class="visually-hidden">"Action"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{sessions.into_iter().map(|session| row(session, whose)).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(session: SessionSummary, whose: Whose) -> impl IntoView {
    let program = program(&session.user_agent);
    let end = if session.current {
        view! {
            <span class="state" data-state="good">
                <span class="dot" aria-hidden="true"></span>
                "This one"
            </span>
        }
        .into_any()
    } else {
        let of = if whose == Whose::Everybodys { format!(" of {}", session.user) } else { String::new() };
        view! {
            <form method="post" action=whose.action()>
                <input type="hidden" name="session" value=session.id.to_string() />
                <button
                    type="submit"
                    class="button button-danger"
                    aria-label=format!("End the session{of} in {program} from {}", session.address)
                >
                    "End"
                </button>
            </form>
        }
        .into_any()
    };
    let user = (whose == Whose::Everybodys).then(|| view! { <td data-label="User">{session.user}</td> });
    view! {
        <tr>
            {user}
            <th scope="row" data-label="Browser or program" title=session.user_agent>
                {program}
            </th>
            <td class="code" data-label="Address">
                {session.address}
            </td>
            <td data-label="Began">{format::minute(session.began)}</td>
            <td data-label="Last used">{format::minute(session.last_used)}</td>
            <td data-label="Ends">{format::minute(session.expires)}</td>
            <td class="row-actions">{end}</td>
        </tr>
    }
}

/// What a person would call it. Browsers name each other for compatibility, so the order matters.
fn program(user_agent: &str) -> String {
    const BROWSERS: [(&str, &str); 6] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrom", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Mac OS", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(sign, _)| user_agent.contains(sign)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        // Programs name themselves first, such as `curl/8.9`.
        (None, _) => user_agent.split_whitespace().next().unwrap_or("Unknown").chars().take(40).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_apart() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36";
        assert_eq!(program(chrome), "Chrome on Linux");
        assert_eq!(program(&format!("{chrome} Edg/140.0")), "Edge on Linux");
        assert_eq!(
            program("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15) Gecko/20100101 Firefox/142.0"),
            "Firefox on macOS"
        );
        assert_eq!(program("curl/8.9.1"), "curl/8.9.1");
        assert_eq!(program(""), "Unknown");
    }
}
