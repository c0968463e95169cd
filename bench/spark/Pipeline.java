// What StreamlineHub's pipeline does with page views, as Spark Structured Streaming with Delta does it: Kafka to Bronze, Bronze to
// Silver (typed, each event once), Silver to Gold (events by hour and kind). scripts/spark-bench.sh runs it and says how it is
// measured. It does less than ours does: there is no buffer, and what is no event is no dead letter but a row without a type.

import static org.apache.spark.sql.functions.*;

import io.delta.tables.DeltaTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.apache.spark.api.java.function.VoidFunction2;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.DataStreamWriter;
import org.apache.spark.sql.streaming.Trigger;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

public class Pipeline {
    private static final StructType EVENT = new StructType()
        .add("event_id", DataTypes.StringType)
        .add("event_type", DataTypes.StringType)
        .add("occurred_at", DataTypes.TimestampType)
        .add("customer_id", DataTypes.StringType)
        .add("session_id", DataTypes.StringType)
        .add("device", DataTypes.StringType)
        .add("properties", DataTypes.StringType);

    private final SparkSession spark;
    private final String kafka;
    private final String folder;
    private final long perBatch;

    private Pipeline(SparkSession spark, String kafka, String folder, long perBatch) {
        this.spark = spark;
        this.kafka = kafka;
        this.folder = folder;
        this.perBatch = perBatch;
    }

    /** BOOTSTRAP_SERVERS FOLDER EVENTS_PER_BATCH CORES */
    public static void main(String[] arguments) throws Exception {
        SparkSession spark = SparkSession.builder()
            .master("local[" + arguments[3] + "]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
            .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.shuffle.partitions", arguments[3])
            .config("spark.sql.parquet.compression.codec", "zstd")
            .config("spark.hadoop.parquet.compression.codec.zstd.level", "1")
            .config("spark.sql.streaming.stateStore.providerClass",
                "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider")
            .getOrCreate();
        spark.sparkContext().setLogLevel("ERROR");
        Pipeline pipeline = new Pipeline(spark, arguments[0], arguments[1], Long.parseLong(arguments[2]));
        pipeline.timed("bronze", pipeline.bronze());
        pipeline.timed("silver", pipeline.silver());
        pipeline.timed("gold", pipeline.gold());
        Row counted = spark.read().format("delta").load(pipeline.path("gold")).agg(sum("events")).first();
        System.out.printf("gold counts %d events%n", counted.getLong(0));
        spark.stop();
    }

    private String path(String table) {
        return folder + "/" + table;
    }

    private DataStreamWriter<Row> writer(Dataset<Row> rows, String table) {
        return rows.writeStream()
            .trigger(Trigger.AvailableNow())
            .option("checkpointLocation", folder + "/checkpoints/" + table);
    }

    private DataStreamWriter<Row> bronze() {
        Dataset<Row> rows = spark.readStream().format("kafka")
            .option("kafka.bootstrap.servers", kafka)
            .option("subscribe", "analytics-events")
            .option("startingOffsets", "earliest")
            .option("maxOffsetsPerTrigger", perBatch)
            .option("includeHeaders", "true")
            .load()
            .select(col("topic"), col("partition"), col("offset"), col("timestamp").as("kafka_time"),
                current_timestamp().as("ingested_at"),
                get_json_object(col("value").cast("string"), "$.event_type").as("event_type"),
                col("key"), to_json(col("headers")).as("headers"), col("value").cast("string").as("payload"),
                current_date().as("day"));
        return writer(rows, "bronze").format("delta").partitionBy("day").option("path", path("bronze"));
    }

    private DataStreamWriter<Row> silver() {
        Dataset<Row> rows = spark.readStream().format("delta").load(path("bronze"))
            .where(col("event_type").isNotNull())
            .select(from_json(col("payload"), EVENT).as("event"), col("topic"), col("partition"), col("offset"),
                col("kafka_time"), col("ingested_at"))
            .select(col("event.*"), col("topic"), col("partition").as("source_partition"),
                col("offset").as("source_offset"), col("kafka_time"), col("ingested_at"),
                to_date(col("event.occurred_at")).as("date"))
            .withWatermark("occurred_at", "1 day")
            .dropDuplicates("event_id", "occurred_at");
        return writer(rows, "silver").format("delta").partitionBy("date").option("path", path("silver"));
    }

    private DataStreamWriter<Row> gold() {
        spark.sql("CREATE TABLE delta.`" + path("gold") + "` (hour TIMESTAMP, topic STRING, event_type STRING, events BIGINT)"
            + " USING delta");
        VoidFunction2<Dataset<Row>, Long> merge = (rows, batch) -> {
            Dataset<Row> sums = rows
                .groupBy(date_trunc("hour", col("occurred_at")).as("hour"), col("topic"), col("event_type"))
                .agg(count(lit(1)).as("events"));
            DeltaTable.forPath(spark, path("gold")).as("gold")
                .merge(sums.as("new"),
                    "gold.hour = new.hour AND gold.topic = new.topic AND gold.event_type = new.event_type")
                .whenMatched().updateExpr(java.util.Map.of("events", "gold.events + new.events"))
                .whenNotMatched().insertAll()
                .execute();
        };
        return writer(spark.readStream().format("delta").load(path("silver")), "gold").foreachBatch(merge);
    }

    private void timed(String name, DataStreamWriter<Row> query) throws Exception {
        double cpu = cpuSeconds();
        long began = System.nanoTime();
        query.start().awaitTermination();
        double seconds = (System.nanoTime() - began) / 1e9;
        System.out.printf(Locale.ROOT, "%s %.2f s %.2f CPU-s%n", name, seconds, cpuSeconds() - cpu);
    }

    /** CPU seconds that this process has used. */
    private static double cpuSeconds() throws IOException {
        String stat = Files.readString(Path.of("/proc/self/stat"));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / 100.0;
    }
}
