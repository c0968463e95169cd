//! What the settings say of TLS and passwords, as settings of librdkafka.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::readable;
use crate::settings;

const PROTOCOLS: [&str; 4] = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];
const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// Nothing for plain connections.
///
/// # Errors
/// Names the setting that is at fault, or the file that cannot be read.
pub(super) fn of(settings: &settings::Kafka) -> Result<Vec<(&'static str, String)>> {
    let protocol = settings.security_protocol.to_lowercase();
    if !PROTOCOLS.contains(&protocol.as_str()) {
        bail!(
            "kafka.security_protocol is `{}`; it must be one of {}",
            settings.security_protocol,
            PROTOCOLS.join(", ")
        );
    }
    let (with_tls, with_sasl) = (protocol.ends_with("ssl"), protocol.starts_with("sasl"));
    let none = Path::new("");
    let files = [&settings.ssl_ca, &settings.ssl_certificate, &settings.ssl_key];
    if !with_tls && files.iter().any(|file| *file != none) {
        bail!("kafka.ssl_... is set, but kafka.security_protocol is `{protocol}`: it should be ssl or sasl_ssl");
    }
    if !with_sasl && !settings.sasl_user.is_empty() {
        bail!(
            "kafka.sasl_user is set, but kafka.security_protocol is `{protocol}`: it should be sasl_ssl or sasl_plaintext"
        );
    }
    if protocol == "plaintext" {
        return Ok(Vec::new());
    }
    let mut properties = vec![("security.protocol", protocol)];
    if with_tls {
        tls(settings, &mut properties)?;
    }
    if with_sasl {
        sasl(settings, &mut properties)?;
    }
    Ok(properties)
}

fn tls(settings: &settings::Kafka, properties: &mut Vec<(&'static str, String)>) -> Result<()> {
    let none = Path::new("");
    if (settings.ssl_certificate == none) != (settings.ssl_key == none) {
        bail!("kafka.ssl_certificate and kafka.ssl_key belong together: set both or none");
    }
    for (setting, property, path) in [
        ("kafka.ssl_ca", "ssl.ca.location", &settings.ssl_ca),
        ("kafka.ssl_certificate", "ssl.certificate.location", &settings.ssl_certificate),
        ("kafka.ssl_key", "ssl.key.location", &settings.ssl_key),
    ] {
        if path != none {
            readable(setting, path)?;
            properties.push((property, path.display().to_string()));
        }
    }
    if !settings.ssl_key_password.is_empty() {
        properties.push(("ssl.key.password", settings.ssl_key_password.reveal().to_owned()));
    }
    // The broker's name must be the one in its certificate.
    properties.push(("ssl.endpoint.identification.algorithm", "https".to_owned()));
    Ok(())
}

fn sasl(settings: &settings::Kafka, properties: &mut Vec<(&'static str, String)>) -> Result<()> {
    let mechanism = settings.sasl_mechanism.to_uppercase();
    if !MECHANISMS.contains(&mechanism.as_str()) {
        bail!("kafka.sasl_mechanism is `{}`; it must be one of {}", settings.sasl_mechanism, MECHANISMS.join(", "));
    }
    let file = &settings.sasl_password_file;
    let password = if file == Path::new("") {
        settings.sasl_password.reveal().to_owned()
    } else {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("kafka.sasl_password_file names {}, which cannot be read", file.display()))?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    };
    if settings.sasl_user.is_empty() || password.is_empty() {
        bail!(
            "kafka.security_protocol wants a login: set kafka.sasl_user, and kafka.sasl_password_file or KAFKA_SASL_PASSWORD"
        );
    }
    properties.push(("sasl.mechanism", mechanism));
    properties.push(("sasl.username", settings.sasl_user.clone()));
    properties.push(("sasl.password", password));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn kafka(change: impl FnOnce(&mut settings::Kafka)) -> Result<Vec<(&'static str, String)>> {
        let mut settings = Settings::defaults().kafka;
        change(&mut settings);
        of(&settings)
    }

    fn fault(change: impl FnOnce(&mut settings::Kafka)) -> String {
        kafka(change).expect_err("a fault").to_string()
    }

    #[test]
    fn plain_connections_need_nothing() {
        assert_eq!(kafka(|_| {}).expect("defaults"), []);
    }

    #[test]
    fn the_password_comes_from_a_file_without_its_line_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        std::fs::write(&file, "from the file\n").expect("a file");
        let properties = kafka(|kafka| {
            kafka.security_protocol = "SASL_SSL".to_owned();
            kafka.sasl_mechanism = "scram-sha-256".to_owned();
            kafka.sasl_user = "ann".to_owned();
            kafka.sasl_password_file = file;
        })
        .expect("properties");
        let expected = [
            ("security.protocol", "sasl_ssl"),
            ("ssl.endpoint.identification.algorithm", "https"),
            ("sasl.mechanism", "SCRAM-SHA-256"),
            ("sasl.username", "ann"),
            ("sasl.password", "from the file"),
        ];
        assert_eq!(properties, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        assert!(fault(|kafka| kafka.security_protocol = "tls".to_owned()).contains("kafka.security_protocol is `tls`"));
        assert!(fault(|kafka| kafka.ssl_ca = "/ca.pem".into()).contains("should be ssl"));
        assert!(fault(|kafka| kafka.sasl_user = "ann".to_owned()).contains("should be sasl_ssl"));
        assert!(fault(|kafka| kafka.security_protocol = "sasl_ssl".to_owned()).contains("kafka.sasl_user"));
        let missing = fault(|kafka| {
            kafka.security_protocol = "ssl".to_owned();
            kafka.ssl_ca = "/nowhere/ca.pem".into();
        });
        assert!(missing.contains("kafka.ssl_ca names /nowhere/ca.pem"), "{missing}");
    }
}
