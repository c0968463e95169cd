//! What runs in a worker: questions come over standard input, answers go over standard output, and the end of the input is
//! the end of the process, whatever it is computing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use deltalake::{
    ObjectStoreError,
    arrow::{
        array::{Array, ArrayRef, RecordBatch},
        compute::cast,
        datatypes::{DataType, Field, FieldRef, Schema, SchemaRef},
        error::ArrowError,
    },
    datafusion::{
        catalog::MemoryCatalogProviderList,
        error::DataFusionError,
        execution::{
            SessionStateBuilder,
            context::SQLOptions,
            disk_manager::{DiskManagerBuilder, DiskManagerMode},
            runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
            session_state::SessionState,
        },
        prelude::{SessionConfig, SessionContext},
        sql::{parser::Statement as Parsed, sqlparser::ast::Statement},
    },
};
use futures::{SinkExt as _, StreamExt as _};
use model::topic::Layer;
use nix::sys::resource::{Resource, setrlimit};
use tokio::time::timeout;
use tokio_util::{
    codec::{FramedRead, FramedWrite},
    task::AbortOnDropHandle,
};
use url::Url;

use super::{Limits, Question, Refusal, Rows, frames, schema, to_ipc};
use crate::lake::{TableError, tables::Tables};

/// The command of the program that makes it a worker.
pub const COMMAND: &str = "sql-worker";
/// Rows that are worked on at once: few, so that long values do not fill the memory.
const BATCH: usize = 2048;
/// The name of the one catalogue. Nobody has to write it.
const CATALOGUE: &str = "lake";
/// Without a question for so long a worker ends.
pub(super) const IDLE: Duration = Duration::from_secs(60);
/// Deep expressions are planned by functions that call themselves.
const STACK: usize = 16 << 20;
/// Files that are read at the same time. Each has a thread, and the stacks of all of them count as memory.
const READERS: usize = 8;

#[derive(Args)]
pub struct Arguments {
    #[arg(long)]
    lake: Url,
    #[arg(long)]
    memory_bytes: u64,
    #[arg(long)]
    answer_bytes: usize,
}

/// Answers questions until there are no more.
///
/// # Errors
/// The bounds cannot be set, or the pipes break.
pub fn serve(arguments: &Arguments) -> Result<()> {
    let data = arguments.memory_bytes * Limits::DATA;
    setrlimit(Resource::RLIMIT_DATA, data, data).context("the memory of a worker cannot be bounded")?;
    // It leaves no file behind when it is killed.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("the files of a worker cannot be bounded")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(READERS)
        .thread_stack_size(STACK)
        .enable_all()
        .build()?;
    runtime.block_on(answer_all(arguments))?;
    // What is still computed is nobody's any more.
    std::process::exit(0)
}

/// This runs on the main thread and never computes, so that it always notices the end of the input.
async fn answer_all(arguments: &Arguments) -> Result<()> {
    let no_disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let memory = RuntimeEnvBuilder::new()
        .with_memory_limit(usize::try_from(arguments.memory_bytes)?, 1.0)
        .with_disk_manager_builder(no_disk)
        .build_arc()?;
    let tables = Arc::new(Tables::new(&arguments.lake));
    let mut questions = FramedRead::new(tokio::io::stdin(), frames(arguments.answer_bytes));
    let mut answers = FramedWrite::new(tokio::io::stdout(), frames(arguments.answer_bytes));
    while let Ok(Some(question)) = timeout(IDLE, questions.next()).await {
        let question: Question = serde_json::from_slice(&question?)?;
        let (memory, tables, most) = (Arc::clone(&memory), Arc::clone(&tables), arguments.answer_bytes);
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let rows = answer(memory, &tables, question, most).await?;
            to_ipc(&rows.schema, &rows.batches).map_err(|error| Refusal::Internal(format!("{error:#}")))
        }));
        let done = tokio::select! {
            done = task => done,
            // Nothing is asked while something is: this is the end.
            _ = questions.next() => return Ok(()),
        };
        let outcome = done.unwrap_or_else(|panic| Err(Refusal::Internal(format!("a statement failed: {panic}"))));
        answers.send(Bytes::from(serde_json::to_vec(&outcome.as_ref().map(|_| ()))?)).await?;
        if let Ok(rows) = outcome {
            answers.send(Bytes::from(rows)).await?;
        }
    }
    Ok(())
}

fn session(memory: Arc<RuntimeEnv>, tables: &Arc<Tables>, question: &Question) -> Result<SessionState, Refusal> {
    let config = SessionConfig::new()
        .with_target_partitions(2)
        .with_batch_size(BATCH)
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOGUE, Layer::Gold.name());
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_table_factories(HashMap::new())
        .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
        .with_config(config)
        .with_runtime_env(memory)
        .build();
    let catalogue = schema::catalogue(tables, question.versions.clone()).map_err(|error| internal(&error))?;
    _ = state.catalog_list().register_catalog(CATALOGUE.to_owned(), catalogue);
    Ok(state)
}

async fn answer(
    memory: Arc<RuntimeEnv>,
    tables: &Arc<Tables>,
    question: Question,
    most_bytes: usize,
) -> Result<Rows, Refusal> {
    let wrong = |error| explain(&error, tables);
    let state = session(memory, tables, &question)?;
    let dialect = state.config().options().sql_parser.dialect;
    let parsed = state.sql_to_statement(&question.sql, &dialect).map_err(wrong)?;
    if !matches!(&parsed, Parsed::Statement(statement) if matches!(**statement, Statement::Query(_))) {
        let why = "only one statement that reads is run here: SELECT ..., or WITH ... SELECT ...";
        return Err(Refusal::Invalid(why.to_owned()));
    }
    let plan = state.statement_to_plan(parsed).await.map_err(wrong)?;
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reading.verify_plan(&plan).map_err(wrong)?;
    let context = SessionContext::new_with_state(state);
    let frame = context.execute_logical_plan(plan).await.map_err(wrong)?;
    let frame = frame.limit(0, Some(question.rows.saturating_add(1))).map_err(wrong)?;
    let mut stream = frame.execute_stream().await.map_err(wrong)?;
    let schema = plain_schema(&stream.schema());
    let (mut batches, mut bytes) = (Vec::new(), 0_usize);
    while let Some(batch) = stream.next().await {
        let batch = plain(&schema, &batch.map_err(wrong)?).map_err(|error| wrong(error.into()))?;
        bytes = bytes.saturating_add(size(&batch).map_err(|error| wrong(error.into()))?);
        if bytes > most_bytes {
            return Err(Refusal::TooLarge);
        }
        batches.push(batch);
    }
    Ok(Rows { schema, batches })
}

/// What the rows take; what they share with others counts as far as it is theirs.
fn size(batch: &RecordBatch) -> Result<usize, ArrowError> {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size()).sum()
}

/// Columns without views and dictionaries, whose size is plain to see and which every reader of Arrow knows.
fn plain_schema(schema: &SchemaRef) -> SchemaRef {
    let plain = |field: &FieldRef| {
        let data_type = match field.data_type() {
            DataType::Utf8View => DataType::Utf8,
            DataType::BinaryView => DataType::Binary,
            DataType::Dictionary(_, values) => match &**values {
                DataType::Utf8View => DataType::Utf8,
                DataType::BinaryView => DataType::Binary,
                other => other.clone(),
            },
            other => other.clone(),
        };
        Field::new(field.name(), data_type, field.is_nullable())
    };
    Arc::new(Schema::new(schema.fields().iter().map(plain).collect::<Vec<_>>()))
}

fn plain(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| {
        if column.data_type() == field.data_type() {
            Ok(ArrayRef::clone(column))
        } else {
            cast(column, field.data_type())
        }
    });
    RecordBatch::try_new(SchemaRef::clone(schema), columns.collect::<Result<_, _>>()?)
}

fn internal(error: &DataFusionError) -> Refusal {
    Refusal::Internal(error.to_string())
}

/// What went wrong, in words for whoever wrote the statement.
fn explain(error: &DataFusionError, tables: &Tables) -> Refusal {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => Refusal::TooLarge,
        DataFusionError::ObjectStore(error) if matches!(**error, ObjectStoreError::NotFound { .. }) => Refusal::Changed,
        DataFusionError::External(error) => match error.downcast_ref::<TableError>() {
            Some(TableError::Internal(error)) => Refusal::Internal(format!("{error:#}")),
            Some(for_people) => Refusal::Invalid(for_people.to_string()),
            None if error.to_string().contains("not found") => Refusal::Changed,
            None => Refusal::Internal(error.to_string()),
        },
        DataFusionError::Plan(why) if why.contains("table '") && why.ends_with("not found") => {
            let names: Vec<_> = tables.specs().map(|spec| format!("{}.{}", spec.layer.name(), spec.name)).collect();
            let why = first_line(why).replace("lake.", "");
            Refusal::Invalid(format!("{why}; there are {}", names.join(", ")))
        }
        DataFusionError::Plan(why) | DataFusionError::NotImplemented(why) | DataFusionError::Execution(why) => {
            Refusal::Invalid(first_line(why))
        }
        DataFusionError::SchemaError(error, _) => Refusal::Invalid(first_line(&error.to_string())),
        DataFusionError::SQL(error, _) => Refusal::Invalid(first_line(&error.to_string())),
        DataFusionError::ArrowError(error, _) => Refusal::Invalid(first_line(&error.to_string())),
        _ if error.to_string().contains("No such file") => Refusal::Changed,
        _ => internal(error),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(500).collect()
}
