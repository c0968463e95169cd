//! What Kafka's client says is wrong, in words that say what to do.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::{ClientContext, consumer::ConsumerContext, error::KafkaError};

/// Remembers the last complaint of a client, for whoever waits in vain.
#[derive(Clone, Default)]
pub(super) struct Complaints(Arc<Mutex<Option<String>>>);

impl Complaints {
    pub(super) fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Complaints {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka");
        // That all brokers are down says less than why one is.
        if !reason.contains("brokers are down") {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(explain(reason));
        }
    }
}

impl ConsumerContext for Complaints {}

/// The client's words, and which setting is to be looked at.
#[must_use]
pub fn explain(reason: &str) -> String {
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    let advice = if has(&["certificate verify failed", "certificate could not be verified"]) {
        "the broker's certificate is not from an authority that is trusted here (kafka.ssl_ca), or is for another name than the one \
         in kafka.bootstrap_servers or in the broker's advertised.listeners"
    } else if has(&["Authentication failed", "authentication failed", "SASL authentication error"]) {
        "the broker refuses the login: look at kafka.sasl_user, its password, and kafka.sasl_mechanism"
    } else if has(&["bad certificate", "certificate required", "handshake failure"]) {
        "the broker wants a certificate of ours that it trusts: look at kafka.ssl_certificate and kafka.ssl_key"
    } else if has(&["SSL handshake failed", "wrong version number", "security.protocol"]) {
        "the broker speaks otherwise on this port: look at kafka.security_protocol"
    } else if has(&["Connection refused", "Failed to resolve"]) {
        "is it running, and are kafka.bootstrap_servers and kafka.security_protocol right?"
    } else {
        return reason.to_owned();
    };
    format!("{advice} ({reason})")
}
