//! What Hub's programs say to each other over the broker: names of exchanges and queues, and the JSON of
//! every message. `docs/wire-format.md` describes the same for other languages.
//!
//! Every message carries `"v"`, the version of this format; one without it is of version 1. Readers ignore keys that
//! they do not know, so that a newer Hub can add some; a message of a higher version is refused, since its meaning may
//! differ. What people write is read strictly, since an unknown key there is a misspelt one: posted results and filters.

mod body;
mod control;
mod ended;
mod names;
mod not_a_number;
pub(crate) mod object;
mod request;
mod result;
mod submission;
mod task;

pub use body::{JSON, VERSION, WireError, encode, raw};
use body::{brief, check_version, first_version};
pub(crate) use control::MAXIMUM_SHORTAGE;
pub use control::{Control, ControlMessage, Heartbeat};
pub use ended::{ResultStatus, Span, TaskEnded};
pub use names::Names;
pub(crate) use names::TASK_DELIVERY_LIMIT;
pub use request::{MANY, REPLIES_HEADER, Replies, Reply, ReplyFor, RequestMessage, reads_many};
pub use result::{FromWorker, ResultMessage, Results, ReturnReason, Returned, RunningIssue, Started};
pub use submission::{JobMessage, WAIT_HEADER};
pub use task::TaskMessage;
