//! The protocol between Hub's programs over the broker: the names of exchanges and queues, and the JSON of all
//! messages. `docs/wire-format.md` documents it for other languages.
//!
//! Every message contains `"v"`, the version of this format; default: 1. Unknown keys are ignored, so that a newer Hub
//! can add some. A message with a higher version is refused, because its meaning may differ. Posted results and filters
//! are written by users, so unknown keys in them are refused as misspelt.

mod body;
mod control;
mod ended;
mod limits;
mod names;
mod not_a_number;
pub(crate) mod object;
mod progress;
mod request;
mod result;
mod submission;
mod task;

pub use body::{JSON, VERSION, WireError, encode, raw};
use body::{brief, check_version, first_version};
pub(crate) use control::MAXIMUM_SHORTAGE;
pub use control::{Control, ControlMessage, Heartbeat};
pub use ended::{ResultStatus, Span, TaskEnded};
pub use limits::LimitsMs;
pub use names::Names;
pub(crate) use names::TASK_DELIVERY_LIMIT;
pub use progress::Progress;
pub use request::{MANY, REPLIES_HEADER, Replies, Reply, ReplyFor, RequestMessage, reads_many};
pub use result::{FromWorker, ResultMessage, Results, ReturnReason, Returned, RunningIssue, Started};
pub use submission::{JobMessage, WAIT_HEADER};
pub use task::TaskMessage;
