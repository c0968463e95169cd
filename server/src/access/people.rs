//! What the pages know of people, for the request that is being answered.

use std::sync::Arc;

use app::ports::{People, Unavailable};
use async_trait::async_trait;
use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;
use model::access::{
    ApiKeySummary, AuditFilter, AuditPage, Flash, Me, Permission, Role, SecondFactor, SessionSummary, UsersView,
};
use model::lake::PastStatement;

use super::{
    Access,
    audit::{self, Deed},
    cookies::{Name, theme_named},
    gate::Gate,
    guard::{self, Identity},
    rest::me_of,
    rules::{self, Kind},
    sessions::Client,
    statements,
};
use crate::lake::sql;

/// One request, and who sends it.
pub struct Visit {
    gate: Arc<Gate>,
    identity: Option<Identity>,
    client: Option<Client>,
    headers: HeaderMap,
    /// Where cookies and the status of the answer go.
    response: Option<ResponseOptions>,
    is_function: bool,
}

impl Visit {
    /// Called in the context of a page or of a function of the pages.
    pub fn of_request(gate: &Arc<Gate>) -> Visit {
        let parts = use_context::<Parts>();
        let extension = |parts: &Parts| (parts.extensions.get().cloned(), parts.extensions.get().cloned());
        let (identity, client) = parts.as_ref().map(extension).unwrap_or_default();
        Visit {
            gate: Arc::clone(gate),
            identity,
            client,
            is_function: parts.as_ref().is_some_and(|parts| rules::kind(parts.uri.path()) == Kind::Function),
            headers: parts.map(|parts| parts.headers).unwrap_or_default(),
            response: use_context(),
        }
    }

    fn refuse(&self, status: StatusCode, why: Unavailable) -> Unavailable {
        // A page is there even if one of its questions is refused; the answer to a function is nothing else.
        if let Some(response) = self.response.as_ref().filter(|_| self.is_function) {
            response.set_status(status);
        }
        why
    }

    fn identity(&self) -> Result<&Identity, Unavailable> {
        self.identity.as_ref().ok_or_else(|| self.refuse(StatusCode::UNAUTHORIZED, Unavailable::SignedOut))
    }

    pub(crate) fn access(&self) -> Result<&Arc<Access>, Unavailable> {
        let starting = Unavailable::Starting("Accounts will be here in a moment: the server is starting.".to_owned());
        self.gate.access().ok_or_else(|| self.refuse(StatusCode::SERVICE_UNAVAILABLE, starting))
    }

    pub(crate) fn permitted(&self, permission: Permission) -> Result<&Identity, Unavailable> {
        let identity = self.identity()?;
        if identity.standing.may(permission) {
            return Ok(identity);
        }
        let why = format!("This needs the permission {}. An administrator can give it to you.", permission.name());
        Err(self.refuse(StatusCode::FORBIDDEN, Unavailable::Forbidden(why)))
    }

    pub(crate) fn failed(&self, error: &anyhow::Error) -> Unavailable {
        tracing::error!("a page's question about people failed: {error:#}");
        let why = "Something went wrong on the server; its log says what.".to_owned();
        self.refuse(StatusCode::INTERNAL_SERVER_ERROR, Unavailable::Failed(why))
    }

    /// What the page is about does not exist, and is answered with nothing: the page says so with its status too. The answer to a
    /// function, which has to be a good one then, does not; where it is an error, see [`People::missing`].
    pub(crate) fn not_found(&self) {
        if let Some(response) = self.response.as_ref().filter(|_| !self.is_function) {
            response.set_status(StatusCode::NOT_FOUND);
        }
    }

    fn set_cookie(&self, cookie: HeaderValue) {
        if let Some(response) = &self.response {
            response.append_header(header::SET_COOKIE, cookie);
        }
    }
}

#[async_trait]
impl People for Visit {
    fn require(&self, permission: Permission) -> Result<(), Unavailable> {
        self.permitted(permission).map(drop)
    }

    fn missing(&self) {
        if let Some(response) = &self.response {
            response.set_status(StatusCode::NOT_FOUND);
        }
    }

    async fn me(&self) -> Result<Me, Unavailable> {
        Ok(me_of(self.identity()?))
    }

    async fn renew(&self) -> Result<i64, Unavailable> {
        let signed_out = || self.refuse(StatusCode::UNAUTHORIZED, Unavailable::SignedOut);
        let refresh = self.gate.cookies.get(&self.headers, Name::Refresh).ok_or_else(signed_out)?;
        let client = self.client.as_ref().ok_or_else(signed_out)?;
        let renewed = self.access()?.renew(&refresh, client).await;
        let Some(tokens) = renewed.map_err(|denied| self.failed(&denied.into()))? else {
            self.gate.cookies.no_session().into_iter().for_each(|cookie| self.set_cookie(cookie));
            return Err(signed_out());
        };
        self.gate.cookies.session(&tokens).into_iter().for_each(|cookie| self.set_cookie(cookie));
        Ok(tokens.access_seconds)
    }

    fn flash(&self) -> Option<Flash> {
        let flash = self.gate.cookies.read_flash(&self.gate.access()?.keys, &self.headers)?;
        self.set_cookie(self.gate.cookies.clear(Name::Flash));
        Some(flash)
    }

    fn theme(&self) -> String {
        theme_named(&self.gate.cookies.get(&self.headers, Name::Theme).unwrap_or_default()).to_owned()
    }

    async fn second_factor(&self) -> Result<SecondFactor, Unavailable> {
        let identity = self.identity()?;
        self.access()?.second_factor(identity.standing.user).await.map_err(|error| self.failed(&error))
    }

    async fn own_sessions(&self) -> Result<Vec<SessionSummary>, Unavailable> {
        let identity = self.identity()?;
        let sessions = self.access()?.sessions(Some(identity.standing.user), identity.session()).await;
        sessions.map_err(|error| self.failed(&error))
    }

    async fn all_sessions(&self) -> Result<Vec<SessionSummary>, Unavailable> {
        let identity = self.permitted(Permission::UsersManage)?;
        self.access()?.sessions(None, identity.session()).await.map_err(|error| self.failed(&error))
    }

    async fn users(&self) -> Result<UsersView, Unavailable> {
        let identity = self.permitted(Permission::UsersManage)?;
        self.access()?.users(&identity.standing).await.map_err(|error| self.failed(&error))
    }

    async fn roles(&self) -> Result<Vec<Role>, Unavailable> {
        self.permitted(Permission::RolesManage)?;
        self.access()?.roles().await.map_err(|error| self.failed(&error))
    }

    async fn api_keys(&self) -> Result<Vec<ApiKeySummary>, Unavailable> {
        let identity = self.permitted(Permission::KeysManage)?;
        self.access()?.api_keys(&identity.standing).await.map_err(|error| self.failed(&error))
    }

    async fn audit(&self, filter: AuditFilter) -> Result<AuditPage, Unavailable> {
        self.permitted(Permission::AuditRead)?;
        if let Err(error) = audit::check(&filter) {
            let why = Unavailable::Failed(format!("This filter cannot be used: {error}."));
            return Err(self.refuse(StatusCode::BAD_REQUEST, why));
        }
        audit::page(&self.access()?.pool, &filter).await.map_err(|error| self.failed(&error))
    }

    async fn note_statement(&self, sql: &str) -> Result<(), Unavailable> {
        let identity = self.permitted(Permission::SqlRun)?;
        let signed_out = || self.refuse(StatusCode::UNAUTHORIZED, Unavailable::SignedOut);
        let (access, client) = (self.access()?, self.client.as_ref().ok_or_else(signed_out)?);
        let actor = guard::actor_of(identity, client);
        let noted = async {
            access.note(&actor, &Deed::success("sql.query", "lake").with_detail(sql)).await?;
            if sql.len() <= sql::LONGEST {
                statements::add(&access.pool, identity.standing.user, sql).await?;
            }
            anyhow::Ok(())
        };
        noted.await.map_err(|error| self.failed(&error))
    }

    async fn statements(&self) -> Result<Vec<PastStatement>, Unavailable> {
        let identity = self.permitted(Permission::SqlRun)?;
        statements::of(&self.access()?.pool, identity.standing.user).await.map_err(|error| self.failed(&error))
    }

    fn right_ends(&self, permission: Permission) -> BoxFuture<'static, ()> {
        let Some((access, identity)) = self.gate.access().cloned().zip(self.identity.clone()) else {
            return async {}.boxed();
        };
        async move { access.right_ends(identity.credential, permission).await }.boxed()
    }
}
