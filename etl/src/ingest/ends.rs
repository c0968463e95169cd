//! Where a partition begins and ends, in Kafka and in Bronze.

use model::topic::Topic;

/// How far Bronze and Kafka go in a partition.
pub(super) struct Ends {
    pub(super) partition: i32,
    /// The last offset in Bronze.
    pub(super) in_bronze: Option<i64>,
    /// The first offset in Kafka, and the one after the last.
    pub(super) in_kafka: Option<(i64, i64)>,
}

impl Ends {
    /// The offset that Bronze takes next. Without a position in Bronze it is the first that Kafka has, so that a first batch
    /// which does not begin there is noticed.
    pub(super) fn next(&self) -> Option<i64> {
        self.in_bronze.map(|last| last + 1).or(self.in_kafka.map(|(first, _)| first))
    }

    /// What is wrong, when Bronze has more than Kafka ever had: the topic is another one of the same name. Its offsets begin
    /// anew, and its events would be left out as known already.
    pub(super) fn made_anew(&self, topic: Topic) -> Option<String> {
        let (last, (_, end)) = (self.in_bronze?, self.in_kafka?);
        (last >= end).then(|| {
            format!(
                "partition {} of {} ends before offset {end}, but Bronze has offset {last}: the topic was made anew. Nothing \
                 of it is consumed; give the lake another path (DELTA_LAKE_PATH), or name the broker that the lake was \
                 filled from (KAFKA_BOOTSTRAP_SERVERS).",
                self.partition,
                topic.name()
            )
        })
    }
}
