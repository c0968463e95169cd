//! Why a server function gave no answer, in words a page can show.

use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};
use serde::{Deserialize, Serialize};

use crate::ports::Unavailable;

/// The error of every server function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// The part that would answer is still coming up. Pages ask again by themselves.
    Starting(String),
    /// It failed on the server.
    Failed(String),
    /// There is no such thing.
    Missing(String),
    /// Nobody is signed in, or no longer. The page is loaded again, which leads to the login.
    SignedOut,
    /// The person who asks may not.
    Forbidden(String),
    /// The server could not be reached at all.
    Unreachable,
}

impl Problem {
    pub fn title(&self) -> &'static str {
        match self {
            Problem::Starting(_) => "Still starting",
            Problem::Failed(_) => "This could not be loaded",
            Problem::Missing(_) => "There is nothing here",
            Problem::SignedOut => "You are signed out",
            Problem::Forbidden(_) => "This is not for you to see",
            Problem::Unreachable => "The server cannot be reached",
        }
    }

    pub fn into_detail(self) -> String {
        match self {
            Problem::Starting(detail)
            | Problem::Failed(detail)
            | Problem::Missing(detail)
            | Problem::Forbidden(detail) => detail,
            Problem::SignedOut => "Log in again to go on.".to_owned(),
            Problem::Unreachable => "Check the connection; the page asks again by itself.".to_owned(),
        }
    }

    pub fn is_starting(&self) -> bool {
        matches!(self, Problem::Starting(_))
    }
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Problem {
        match unavailable {
            Unavailable::Starting(detail) => Problem::Starting(detail),
            Unavailable::Failed(detail) => Problem::Failed(detail),
            Unavailable::Missing(detail) => Problem::Missing(detail),
            Unavailable::SignedOut => Problem::SignedOut,
            Unavailable::Forbidden(detail) => Problem::Forbidden(detail),
        }
    }
}

impl FromServerFnError for Problem {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Problem {
        match error {
            ServerFnErrorErr::Request(_) => Problem::Unreachable,
            // What a proxy or a newer server answers is not for a reader's eyes.
            _ => {
                Problem::Failed("The server's answer could not be understood; reloading the page may help.".to_owned())
            }
        }
    }
}
