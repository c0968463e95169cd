//! What the embedded broker stores: events in [`PartitionLog`]s, and everything else (topics, consumer groups, committed
//! offsets, producers' identities) in Tansu's SQLite storage.
//!
//! Tansu's own storages keep an event as a row, which is several times slower than the rest of the pipeline, or keep nothing
//! when the process ends. Transactions are the one thing that this storage does not offer: a producer that begins one is
//! refused.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde::{
    Deserialize,
    de::value::{Error as ValueError, MapDeserializer},
};
use tansu_sans_io::{
    ConfigResource, ErrorCode, IsolationLevel, ListOffset, ScramMechanism, create_topics_request::CreatableTopic,
    delete_groups_response::DeletableGroupResult, delete_records_request::DeleteRecordsTopic,
    delete_records_response::DeleteRecordsTopicResult, describe_cluster_response::DescribeClusterBroker,
    describe_configs_response::DescribeConfigsResult,
    describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic,
    incremental_alter_configs_request::AlterConfigsResource,
    incremental_alter_configs_response::AlterConfigsResourceResponse, list_groups_response::ListedGroup,
    record::deflated, to_system_time, to_timestamp, txn_offset_commit_response::TxnOffsetCommitResponseTopic,
};
use tansu_storage::{
    BrokerRegistrationRequest, Error, GroupDetail, ListOffsetResponse, MetadataResponse, NamedGroupDetail,
    OffsetCommitRequest, OffsetStage, ProducerIdResponse, Result, ScramCredential, Storage, StorageContainer, TopicId,
    Topition, TxnAddPartitionsRequest, TxnAddPartitionsResponse, TxnOffsetCommitRequest, UpdateError, Version,
};
use tokio::sync::Mutex;
use tracing::error;
use url::Url;
use uuid::Uuid;

use super::log::{PartitionLog, Refused};

type Log = Arc<std::sync::Mutex<PartitionLog>>;

#[derive(Clone, Debug)]
pub(super) struct BrokerStorage {
    /// Everything but events.
    rest: StorageContainer,
    folder: Arc<PathBuf>,
    logs: Arc<Mutex<HashMap<Topition, Log>>>,
    /// What each fetch asks again: which topics there are. Emptied when that changes.
    topics: Arc<std::sync::Mutex<HashMap<TopicId, MetadataResponse>>>,
}

impl BrokerStorage {
    /// `folder` holds a folder for each partition.
    pub(super) fn new(rest: StorageContainer, folder: PathBuf) -> BrokerStorage {
        BrokerStorage { rest, folder: Arc::new(folder), logs: Arc::default(), topics: Arc::default() }
    }

    /// Waits until the disk has everything that was written.
    pub(super) async fn sync(&self) {
        let logs: Vec<Log> = self.logs.lock().await.values().cloned().collect();
        for log in logs {
            if let Err(error) = with(log, PartitionLog::sync).await {
                error!(%error, "the disk does not keep the broker's events");
            }
        }
    }

    fn forget_topics(&self) {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn folder_of(&self, topition: &Topition) -> PathBuf {
        self.folder.join(format!("{}-{}", topition.topic(), topition.partition()))
    }

    /// The log of a partition that exists.
    async fn log(&self, topition: &Topition) -> Result<Log> {
        let mut logs = self.logs.lock().await;
        if let Some(log) = logs.get(topition) {
            return Ok(Arc::clone(log));
        }
        let partitions = self.partitions(&TopicId::Name(topition.topic().to_owned())).await?;
        if !partitions.contains(topition) {
            return Err(Error::Api(ErrorCode::UnknownTopicOrPartition));
        }
        let folder = self.folder_of(topition);
        let log = blocking(move || PartitionLog::open(&folder)).await?;
        let log = Arc::new(std::sync::Mutex::new(log));
        logs.insert(topition.clone(), Arc::clone(&log));
        Ok(log)
    }

    async fn partitions(&self, topic: &TopicId) -> Result<Vec<Topition>> {
        let metadata = self.metadata(Some(std::slice::from_ref(topic))).await?;
        let mut partitions = Vec::new();
        for topic in metadata.topics() {
            let Some(name) = &topic.name else { continue };
            let indices = topic.partitions.iter().flatten().map(|partition| partition.partition_index);
            partitions.extend(indices.map(|index| Topition::new(name.clone(), index)));
        }
        Ok(partitions)
    }
}

/// Files are read and written on threads that may wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.unwrap_or_else(|ended| Err(io::Error::other(ended)))?)
}

async fn with<T: Send + 'static>(
    log: Log,
    work: impl FnOnce(&mut PartitionLog) -> io::Result<T> + Send + 'static,
) -> Result<T> {
    blocking(move || work(&mut log.lock().unwrap_or_else(PoisonError::into_inner))).await
}

/// Kafka's names for topics, of which a folder's name is made.
fn is_topic_name(name: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    !name.is_empty() && name.len() <= 249 && name != "." && name != ".." && name.chars().all(allowed)
}

/// The type has no other way of being made outside of its crate.
fn stage(start: i64, end: i64) -> Result<OffsetStage> {
    let fields = [("log_start", start), ("high_watermark", end), ("last_stable", end)];
    let fields = MapDeserializer::<'_, _, ValueError>::new(fields.into_iter());
    OffsetStage::deserialize(fields).map_err(|error| Error::Message(error.to_string()))
}

#[async_trait]
impl Storage for BrokerStorage {
    async fn produce(&self, transaction_id: Option<&str>, topition: &Topition, batch: deflated::Batch) -> Result<i64> {
        if transaction_id.is_some() || batch.is_transactional() {
            return Err(Error::Api(ErrorCode::UnsupportedVersion));
        }
        let log = self.log(topition).await?;
        match with(log, |log| Ok(log.append(batch))).await? {
            Ok(offset) => Ok(offset),
            Err(Refused::Code(code)) => Err(Error::Api(code)),
            Err(Refused::Disk(error)) => {
                error!(%error, folder = %self.folder.display(), "the disk does not take an event");
                Err(Error::Api(ErrorCode::KafkaStorageError))
            }
        }
    }

    async fn fetch(
        &self,
        topition: &Topition,
        offset: i64,
        _min_bytes: u32,
        max_bytes: u32,
        _isolation: IsolationLevel,
    ) -> Result<Vec<deflated::Batch>> {
        with(self.log(topition).await?, move |log| log.read(offset, u64::from(max_bytes))).await
    }

    async fn offset_stage(&self, topition: &Topition) -> Result<OffsetStage> {
        let (start, end) = with(self.log(topition).await?, |log| Ok((log.start(), log.end()))).await?;
        stage(start, end)
    }

    async fn list_offsets(
        &self,
        _isolation_level: IsolationLevel,
        offsets: &[(Topition, ListOffset)],
    ) -> Result<Vec<(Topition, ListOffsetResponse)>> {
        let mut responses = Vec::with_capacity(offsets.len());
        for (topition, wanted) in offsets {
            let log = match self.log(topition).await {
                Ok(log) => log,
                Err(Error::Api(error_code)) => {
                    responses.push((topition.clone(), ListOffsetResponse { error_code, ..Default::default() }));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let (offset, time) = match *wanted {
                ListOffset::Earliest => (Some(with(log, |log| Ok(log.start())).await?), None),
                ListOffset::Latest => (Some(with(log, |log| Ok(log.end())).await?), None),
                ListOffset::Timestamp(time) => {
                    let time = to_timestamp(&time)?;
                    with(log, move |log| log.at_time(time)).await?.unzip()
                }
            };
            let timestamp = time.map(to_system_time).transpose()?;
            responses.push((topition.clone(), ListOffsetResponse { offset, timestamp, ..Default::default() }));
        }
        Ok(responses)
    }

    async fn create_topic(&self, topic: CreatableTopic, validate_only: bool) -> Result<Uuid> {
        if !is_topic_name(&topic.name) {
            return Err(Error::Api(ErrorCode::InvalidTopicException));
        }
        let made = self.rest.create_topic(topic, validate_only).await;
        self.forget_topics();
        made
    }

    async fn delete_topic(&self, topic: &TopicId) -> Result<ErrorCode> {
        // Held throughout, so that nobody opens the logs in between.
        let mut logs = self.logs.lock().await;
        for topition in self.partitions(topic).await? {
            logs.remove(&topition);
            let folder = self.folder_of(&topition);
            blocking(move || match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            })
            .await?;
        }
        let deleted = self.rest.delete_topic(topic).await;
        self.forget_topics();
        deleted
    }

    async fn delete_records(&self, _topics: &[DeleteRecordsTopic]) -> Result<Vec<DeleteRecordsTopicResult>> {
        Err(Error::Api(ErrorCode::UnsupportedVersion))
    }

    async fn metadata(&self, topics: Option<&[TopicId]>) -> Result<MetadataResponse> {
        let Some([topic]) = topics else { return self.rest.metadata(topics).await };
        let known = self.topics.lock().unwrap_or_else(PoisonError::into_inner).get(topic).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let metadata = self.rest.metadata(topics).await?;
        if metadata.topics().iter().all(|topic| topic.error_code == i16::from(ErrorCode::None)) {
            self.topics.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.clone(), metadata.clone());
        }
        Ok(metadata)
    }

    async fn init_producer(
        &self,
        transaction_id: Option<&str>,
        transaction_timeout_ms: i32,
        producer_id: Option<i64>,
        producer_epoch: Option<i16>,
    ) -> Result<ProducerIdResponse> {
        if transaction_id.is_some() {
            return Ok(ProducerIdResponse { error: ErrorCode::UnsupportedVersion, id: -1, epoch: -1 });
        }
        self.rest.init_producer(transaction_id, transaction_timeout_ms, producer_id, producer_epoch).await
    }

    // The rest is Tansu's own.

    async fn register_broker(&self, broker_registration: BrokerRegistrationRequest) -> Result<()> {
        self.rest.register_broker(broker_registration).await
    }

    async fn incremental_alter_resource(&self, resource: AlterConfigsResource) -> Result<AlterConfigsResourceResponse> {
        self.rest.incremental_alter_resource(resource).await
    }

    async fn brokers(&self) -> Result<Vec<DescribeClusterBroker>> {
        self.rest.brokers().await
    }

    async fn offset_commit(
        &self,
        group_id: &str,
        retention: Option<Duration>,
        offsets: &[(Topition, OffsetCommitRequest)],
    ) -> Result<Vec<(Topition, ErrorCode)>> {
        self.rest.offset_commit(group_id, retention, offsets).await
    }

    async fn offset_fetch(
        &self,
        group_id: Option<&str>,
        topics: &[Topition],
        require_stable: Option<bool>,
    ) -> Result<BTreeMap<Topition, i64>> {
        self.rest.offset_fetch(group_id, topics, require_stable).await
    }

    async fn committed_offset_topitions(&self, group_id: &str) -> Result<BTreeMap<Topition, i64>> {
        self.rest.committed_offset_topitions(group_id).await
    }

    async fn upsert_user_scram_credential(
        &self,
        user: &str,
        mechanism: ScramMechanism,
        credential: ScramCredential,
    ) -> Result<()> {
        self.rest.upsert_user_scram_credential(user, mechanism, credential).await
    }

    async fn delete_user_scram_credential(&self, user: &str, mechanism: ScramMechanism) -> Result<()> {
        self.rest.delete_user_scram_credential(user, mechanism).await
    }

    async fn user_scram_credential(&self, user: &str, mechanism: ScramMechanism) -> Result<Option<ScramCredential>> {
        self.rest.user_scram_credential(user, mechanism).await
    }

    async fn describe_config(
        &self,
        name: &str,
        resource: ConfigResource,
        keys: Option<&[String]>,
    ) -> Result<DescribeConfigsResult> {
        self.rest.describe_config(name, resource, keys).await
    }

    async fn list_groups(&self, states_filter: Option<&[String]>) -> Result<Vec<ListedGroup>> {
        self.rest.list_groups(states_filter).await
    }

    async fn delete_groups(&self, group_ids: Option<&[String]>) -> Result<Vec<DeletableGroupResult>> {
        self.rest.delete_groups(group_ids).await
    }

    async fn describe_groups(
        &self,
        group_ids: Option<&[String]>,
        include_authorized_operations: bool,
    ) -> Result<Vec<NamedGroupDetail>> {
        self.rest.describe_groups(group_ids, include_authorized_operations).await
    }

    async fn describe_topic_partitions(
        &self,
        topics: Option<&[TopicId]>,
        partition_limit: i32,
        cursor: Option<Topition>,
    ) -> Result<Vec<DescribeTopicPartitionsResponseTopic>> {
        self.rest.describe_topic_partitions(topics, partition_limit, cursor).await
    }

    async fn update_group(
        &self,
        group_id: &str,
        detail: GroupDetail,
        version: Option<Version>,
    ) -> Result<Version, UpdateError<GroupDetail>> {
        self.rest.update_group(group_id, detail, version).await
    }

    async fn txn_add_offsets(
        &self,
        transaction_id: &str,
        producer_id: i64,
        producer_epoch: i16,
        group_id: &str,
    ) -> Result<ErrorCode> {
        self.rest.txn_add_offsets(transaction_id, producer_id, producer_epoch, group_id).await
    }

    async fn txn_add_partitions(&self, partitions: TxnAddPartitionsRequest) -> Result<TxnAddPartitionsResponse> {
        self.rest.txn_add_partitions(partitions).await
    }

    async fn txn_offset_commit(&self, offsets: TxnOffsetCommitRequest) -> Result<Vec<TxnOffsetCommitResponseTopic>> {
        self.rest.txn_offset_commit(offsets).await
    }

    async fn txn_end(
        &self,
        transaction_id: &str,
        producer_id: i64,
        producer_epoch: i16,
        committed: bool,
    ) -> Result<ErrorCode> {
        self.rest.txn_end(transaction_id, producer_id, producer_epoch, committed).await
    }

    async fn cluster_id(&self) -> Result<String> {
        self.rest.cluster_id().await
    }

    async fn node(&self) -> Result<i32> {
        self.rest.node().await
    }

    async fn advertised_listener(&self) -> Result<Url> {
        self.rest.advertised_listener().await
    }

    async fn ping(&self) -> Result<()> {
        self.rest.ping().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_no_way_out_of_the_folder() {
        assert!(is_topic_name("transaction-events") && is_topic_name("a.b_c-1"));
        for name in ["", ".", "..", "../x", "a/b", "a b", "\u{e9}"] {
            assert!(!is_topic_name(name), "{name}");
        }
    }

    #[test]
    fn a_stage_says_where_the_log_begins_and_ends() {
        let stage = stage(3, 9).expect("a stage");
        assert_eq!((stage.log_start(), stage.high_watermark(), stage.last_stable()), (3, 9, 9));
    }
}
