//! The Kafka topics the platform reads, and the lake tables that belong to them.

use serde::{Deserialize, Serialize};

/// What the events of a topic are about; it decides into which Silver tables they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    Customer,
    Transaction,
    Analytics,
    Product,
}

impl Topic {
    /// Every topic, in the order in which pages list them.
    pub const ALL: [Topic; 4] = [Topic::Transaction, Topic::Customer, Topic::Product, Topic::Analytics];

    /// The topic's name in Kafka.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Customer => "customer-events",
            Topic::Transaction => "transaction-events",
            Topic::Analytics => "analytics-events",
            Topic::Product => "product-events",
        }
    }

    /// The name of its Bronze table: the topic's name as an SQL identifier.
    pub fn table(self) -> &'static str {
        match self {
            Topic::Customer => "customer_events",
            Topic::Transaction => "transaction_events",
            Topic::Analytics => "analytics_events",
            Topic::Product => "product_events",
        }
    }

    /// The topic with this name in Kafka.
    pub fn from_name(name: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

/// A layer of the lake (medallion architecture).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Layer {
    /// Every event as it came.
    Bronze,
    /// Typed, cleaned, each event once.
    Silver,
    /// Small aggregates that answer the dashboard.
    Gold,
}

impl Layer {
    /// Every layer, in the order in which data pass through them.
    pub const ALL: [Layer; 3] = [Layer::Bronze, Layer::Silver, Layer::Gold];

    pub fn name(self) -> &'static str {
        match self {
            Layer::Bronze => "bronze",
            Layer::Silver => "silver",
            Layer::Gold => "gold",
        }
    }

    /// The layer of this name.
    pub fn from_name(name: &str) -> Option<Layer> {
        Layer::ALL.into_iter().find(|layer| layer.name() == name)
    }
}
