//! The operations of a Hub. An operation is one pair of [`Request`] and [`Answer`], transferred by in-process calls,
//! AMQP or HTTP. [`Hub`] has a method for each.

mod answer;
mod cancel;
mod definitions;
mod document;
mod error;
mod health;
mod hub;
mod jobs;
mod name_page;
mod pause;
mod posted;
mod priority;
mod record;
mod repair;
mod request;
mod retry;
mod schedules;
mod waits;

pub use answer::Answer;
pub use cancel::{Cancelled, JobCancel};
pub use definitions::{AliasChange, Defined, DefinitionDraft, DefinitionPage, DefinitionRecord, DefinitionSummary};
pub use document::Document;
pub use error::{RequestError, RequestErrorKind};
pub use health::{BrokerHealth, HealthReport, StoreHealth, WorkerInfo};
pub use hub::Hub;
pub use hub_core::machine::ScheduleChange;
pub use hub_core::record::View;
pub use jobs::{JobFilter, JobPage, Submission, Submitted, TaskQuery};
pub use name_page::NamePage;
pub use pause::{Pausable, PauseOrder, PauseRequest, PausedPool};
pub use posted::{ResultUpdate, UpdateStatus};
pub use priority::{JobPriority, PriorityRequest};
pub use record::Record;
pub use repair::TaskRepair;
pub use request::Request;
pub use retry::JobRetry;
pub use schedules::{
    ScheduleAnswer, ScheduleDraft, ScheduleName, ScheduleOrder, SchedulePage, ScheduleRecord, ScheduleRequest,
    ScheduleSet, ScheduleSummary, ScheduleTrigger, UpcomingRun,
};
pub use waits::{JobSignal, SignalOutcome, SignalReceipt, TaskApproval};
