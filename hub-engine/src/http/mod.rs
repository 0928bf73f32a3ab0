//! The HTTP API: the operations of [`crate::operations::Hub`], as JSON. It does not know queues and stores.

mod answer;
mod api;
mod body;
mod cache_schemas;
mod connections;
mod control;
mod definition_schemas;
mod definitions;
mod document;
mod events;
mod explanation_schemas;
mod guard;
mod operation;
mod query;
mod retries;
mod retry_schemas;
mod routes;
mod schedule_operations;
mod schedule_schemas;
mod schedules;
mod schemas;
mod search_schemas;
mod serve;
mod settings;
mod shapes;
mod stream;
mod sub_job_schemas;
mod token;
mod waits;

pub use connections::HttpLimits;
pub use serve::serve;
pub use settings::HttpSettings;
