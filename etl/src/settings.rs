//! Settings: `config/default.toml`, overridden by a file and by the environment. Read in the two mains only.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use model::{quality::Rule, topic::Topic};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};
use url::Url;

/// The defaults, with a comment on each setting.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Names a file whose settings override the defaults.
pub const FILE_VARIABLE: &str = "STREAMLINEHUB_CONFIG";

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub address: String,
    pub port: u16,
    pub data_dir: PathBuf,
    pub web: Web,
    pub secrets: Secrets,
    pub session: Session,
    pub rate_limit: RateLimit,
    pub demo: Demo,
    pub log: Log,
    pub delta_lake: DeltaLake,
    pub health: Health,
    pub pipeline: Pipeline,
    pub kafka: Kafka,
    pub redis: Service,
    pub database: Service,
    pub ingest: Ingest,
    pub buffer: Buffer,
    pub silver: Silver,
    pub gold: Gold,
    pub quality: Quality,
    pub maintenance: Maintenance,
    pub replay: Replay,
    pub live: Live,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    pub public_url: String,
    pub other_hosts: Vec<String>,
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
    pub trusted_proxies: Vec<IpNet>,
}

impl Web {
    /// Whether we speak TLS ourselves.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls_certificate != Path::new("")
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    pub path: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    pub access_minutes: u8,
    pub idle_hours: u16,
    pub longest_days: u16,
    pub confirm_minutes: u8,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub per_minute: u32,
    pub login_per_minute: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demo {
    pub administrator: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub level: String,
    pub json: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeltaLake {
    pub path: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    pub low_disk_bytes: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    pub stages: Vec<Stage>,
}

impl Pipeline {
    /// Whether this process does the stage.
    #[must_use]
    pub fn does(&self, stage: Stage) -> bool {
        self.stages.contains(&stage)
    }
}

/// A part of the pipeline that a process may do or leave to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Kafka to Bronze, by way of Redis.
    Bronze,
    Silver,
    Gold,
    Maintenance,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    pub bootstrap_servers: String,
    pub group: String,
    pub instance: String,
    pub partitions: u16,
    pub session_timeout_ms: u32,
    pub embedded_port: u16,
    pub security_protocol: String,
    pub ssl_ca: PathBuf,
    pub ssl_certificate: PathBuf,
    pub ssl_key: PathBuf,
    pub ssl_key_password: Secret,
    pub sasl_mechanism: String,
    pub sasl_user: String,
    pub sasl_password: Secret,
    pub sasl_password_file: PathBuf,
}

/// A password: it is shown to nobody by accident.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For whoever has to log in with it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.is_empty() { "none" } else { "***" })
    }
}

/// A service that is either named by its URL or started by us.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub url: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    pub max_event_bytes: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buffer {
    pub threshold: usize,
    pub max_wait_ms: u64,
    pub capacity: usize,
    pub capacity_bytes: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silver {
    pub batch_events: u64,
    pub batch_bytes: u64,
    /// Columns beside those that every lake has.
    pub fields: Vec<Field>,
}

/// A column of a Silver table that is taken from a place in the event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Such as `silver.events`.
    pub table: String,
    pub column: String,
    /// Names from the outside in, with dots between: `properties.campaign`.
    pub path: String,
    #[serde(rename = "type")]
    pub kind: FieldKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    Text,
    /// 64 bits.
    Integer,
    /// An amount, with four places.
    Decimal,
    Boolean,
    /// RFC 3339.
    Time,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    pub results_every_ms: u64,
    pub retention_days: u16,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gold {
    pub min_interval_ms: u64,
    pub batch_rows: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    pub look_every_seconds: u64,
    pub every_commits: u64,
    pub retention_hours: u64,
    pub log_retention_hours: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    pub enabled: bool,
    pub path: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    pub rate: f64,
}

impl Settings {
    /// The defaults, overridden by the file that [`FILE_VARIABLE`] names and by the environment.
    ///
    /// # Errors
    /// Names the file or the variable at fault and what it should hold.
    pub fn load() -> Result<Settings> {
        let mut table: Table = DEFAULTS.parse().context("config/default.toml")?;
        if let Some(path) = std::env::var_os(FILE_VARIABLE) {
            let path = PathBuf::from(path);
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("{FILE_VARIABLE} names {}, which cannot be read", path.display()))?;
            let file: Table = text.parse().with_context(|| format!("{} is not valid TOML", path.display()))?;
            merge(&mut table, file);
        }
        override_from(&mut table, "", &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?;
        Settings::from_table(table)
    }

    /// The defaults alone, as tests start from.
    ///
    /// # Panics
    /// Never: a test reads the defaults.
    #[must_use]
    pub fn defaults() -> Settings {
        let table = DEFAULTS.parse().expect("the defaults are part of the program");
        Settings::from_table(table).expect("the defaults are part of the program")
    }

    fn from_table(table: Table) -> Result<Settings> {
        let settings: Settings = Value::Table(table).try_into().context("settings")?;
        if settings.buffer.threshold == 0 || settings.buffer.capacity < settings.buffer.threshold {
            bail!(
                "buffer.capacity ({}) must be at least buffer.threshold ({}), and both above 0",
                settings.buffer.capacity,
                settings.buffer.threshold
            );
        }
        if !settings.live.rate.is_finite() || !(0.0..=100_000.0).contains(&settings.live.rate) {
            bail!("live.rate must be between 0 and 100000 events per second, found {}", settings.live.rate);
        }
        if settings.quality.results_every_ms < 100 || settings.quality.retention_days == 0 {
            bail!("quality.results_every_ms must be at least 100, and quality.retention_days above 0");
        }
        if settings.maintenance.retention_hours == 0 {
            bail!(
                "maintenance.retention_hours must be above 0: files younger than that may be those of a commit under way"
            );
        }
        if !(1..=15).contains(&settings.session.access_minutes) {
            bail!("session.access_minutes must be from 1 to 15, found {}", settings.session.access_minutes);
        }
        if settings.session.idle_hours == 0 || settings.session.longest_days == 0 {
            bail!("session.idle_hours and session.longest_days must be above 0");
        }
        if !(1..=60).contains(&settings.session.confirm_minutes) {
            bail!("session.confirm_minutes must be from 1 to 60, found {}", settings.session.confirm_minutes);
        }
        if settings.web.has_tls() != (settings.web.tls_key != Path::new("")) {
            bail!("web.tls_certificate and web.tls_key belong together: set both or none");
        }
        let public = &settings.web.public_url;
        if !public.is_empty() && !is_origin(public) {
            bail!(
                "web.public_url must look like https://data.example.com or http://data.example.com:8080, without a slash at the \
                 end and without a path, which the pages do not work under; found {public}"
            );
        }
        for host in &settings.web.other_hosts {
            if host.contains(['/', '?', '#', '@', '\\']) || !is_origin(&format!("http://{host}")) {
                bail!("web.other_hosts must be names such as intranet or 10.1.2.3:8080; found {host}");
            }
        }
        Ok(settings)
    }

    /// The static group member that this process is, if it is one. Beside the embedded broker it always is: that one does not
    /// miss a member that fell silent, so whoever comes back must be known as the same.
    #[must_use]
    pub fn group_instance(&self) -> Option<&str> {
        let embedded = self.kafka.bootstrap_servers.is_empty().then_some("embedded");
        Some(self.kafka.instance.as_str()).filter(|instance| !instance.is_empty()).or(embedded)
    }

    /// The consumer group of a topic.
    #[must_use]
    pub fn group_of(&self, topic: Topic) -> String {
        format!("{}.{}", self.kafka.group, topic.name())
    }

    /// How the program is reached from outside, when it listens on this port.
    #[must_use]
    pub fn public_url(&self, port: u16) -> String {
        if !self.web.public_url.is_empty() {
            return self.web.public_url.clone();
        }
        let scheme = if self.web.has_tls() { "https" } else { "http" };
        let host = if self.address.contains(':') { format!("[{}]", self.address) } else { self.address.clone() };
        format!("{scheme}://{host}:{port}")
    }

    /// The file of the program's own keys.
    #[must_use]
    pub fn secrets_path(&self) -> PathBuf {
        if self.secrets.path == Path::new("") { self.data_dir.join("secrets/keys") } else { self.secrets.path.clone() }
    }

    /// For what may be lost at any time: it is made anew from the lake.
    #[must_use]
    pub fn cache_dir(&self) -> PathBuf {
        self.data_dir.join("cache")
    }

    /// The lake's root folder.
    #[must_use]
    pub fn lake_path(&self) -> PathBuf {
        if self.delta_lake.path == Path::new("") { self.data_dir.join("lake") } else { self.delta_lake.path.clone() }
    }
}

/// Whether it is a scheme, a host and perhaps a port, and nothing more.
fn is_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    ["http", "https"].contains(&url.scheme())
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && !text.ends_with('/')
        && !text.contains(char::is_whitespace)
}

fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => merge(inner, value),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Replaces each setting whose variable is set, keeping the type that the defaults give it.
fn override_from(table: &mut Table, prefix: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<()> {
    for (key, value) in table.iter_mut() {
        let name = format!("{prefix}{}", key.to_uppercase());
        if let Value::Table(inner) = value {
            override_from(inner, &format!("{name}_"), variable)?;
            continue;
        }
        let Some(text) = variable(&name) else { continue };
        let replaced = match value {
            Value::Integer(_) => text.parse().map(Value::Integer).ok(),
            Value::Float(_) => text.parse().map(Value::Float).ok(),
            Value::Boolean(_) => text.parse().map(Value::Boolean).ok(),
            // A list of tables, such as rules: an array as TOML writes it within a line.
            Value::Array(_) if text.trim_start().starts_with("[{") || text.trim() == "[]" => {
                format!("list = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("list"))
            }
            Value::Array(_) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
            }
            _ => Some(Value::String(text.clone())),
        };
        *value = replaced.with_context(|| format!("{name} is `{text}`, but a {} is expected", value.type_str()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_overrides_by_path() {
        let mut table: Table = DEFAULTS.parse().expect("defaults");
        let variable = |name: &str| match name {
            "PORT" => Some("4000".to_owned()),
            "DELTA_LAKE_PATH" => Some("/tmp/elsewhere".to_owned()),
            "LIVE_RATE" => Some("0".to_owned()),
            "WEB_TRUSTED_PROXIES" => Some("10.0.0.0/8, ::1/128".to_owned()),
            "QUALITY_RULES" => Some(
                "[{name = 'a', table = 'silver.transactions', expression = 'amount > 1', action = 'drop'}]".to_owned(),
            ),
            _ => None,
        };
        override_from(&mut table, "", &variable).expect("good values");
        let settings = Settings::from_table(table).expect("settings");
        assert_eq!((settings.port, settings.lake_path()), (4000, PathBuf::from("/tmp/elsewhere")));
        assert!(settings.live.rate.abs() < f64::EPSILON);
        assert_eq!(settings.web.trusted_proxies.len(), 2);
        assert_eq!(settings.quality.rules.iter().map(|rule| rule.action.name()).collect::<Vec<_>>(), ["drop"]);
        assert_eq!(Settings::defaults().lake_path(), PathBuf::from("data/lake"));
    }

    #[test]
    fn where_it_is_reached_is_a_host_and_no_path() {
        let with = |public_url: &str, other_hosts: &str| {
            let mut table: Table = DEFAULTS.parse().expect("defaults");
            let variable = |name: &str| match name {
                "WEB_PUBLIC_URL" => Some(public_url.to_owned()),
                "WEB_OTHER_HOSTS" => Some(other_hosts.to_owned()),
                _ => None,
            };
            override_from(&mut table, "", &variable).expect("text");
            Settings::from_table(table)
        };
        for url in ["", "https://data.example.com", "http://10.1.2.3:8080", "https://[::1]:3000"] {
            with(url, "intranet, 10.1.2.3:8080").expect(url);
        }
        for url in [
            "https://data.example.com/",
            "https://data.example.com/hub",
            "https://data.example.com?x=1",
            "https://user@data.example.com",
            "data.example.com",
            "ftp://data.example.com",
            "https://",
        ] {
            let error = with(url, "").expect_err(url).to_string();
            assert!(error.contains("web.public_url"), "{url}: {error}");
        }
        for host in ["https://intranet", "intranet/hub", "user@intranet", "a b"] {
            let error = with("", host).expect_err(host).to_string();
            assert!(error.contains("web.other_hosts"), "{host}: {error}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let mut settings = Settings::defaults();
        settings.kafka.sasl_password = "do not show".into();
        let shown = format!("{settings:?}");
        assert!(!shown.contains("do not show") && shown.contains("sasl_password: ***"), "{shown}");
    }

    #[test]
    fn a_wrong_value_names_its_variable() {
        let mut table: Table = DEFAULTS.parse().expect("defaults");
        let error =
            override_from(&mut table, "", &|name| (name == "PORT").then(|| "many".to_owned())).expect_err("no number");
        assert_eq!(error.to_string(), "PORT is `many`, but a integer is expected");
    }
}
