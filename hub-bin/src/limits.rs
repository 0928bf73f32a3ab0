//! How large things may be: the arguments of the dispatcher and of workers.

use hub_core::job::Limits;
use hub_engine::runner::RunnerSettings;

use crate::bounds;
use crate::config::Config;

/// What a job may be.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct JobLimitArgs {
    /// How large the text of a job may be, in bytes [default: 16777216]
    #[arg(long, env = "HUB_MAX_JOB_BYTES", value_name = "N", value_parser = bounds::MAX_JOB_BYTES.parser::<u64>())]
    max_job_bytes: Option<u64>,
    /// How many tasks a job may have [default: 1000000]
    #[arg(long, env = "HUB_MAX_JOB_TASKS", value_name = "N", value_parser = bounds::MAX_JOB_TASKS.parser::<u64>())]
    max_job_tasks: Option<u64>,
    /// How deep arrays and objects may be within each other, the job itself being the first; 120 at most [default: 64]
    #[arg(long, env = "HUB_MAX_JOB_DEPTH", value_name = "N", value_parser = bounds::MAX_JOB_DEPTH.parser::<u64>())]
    max_job_depth: Option<u64>,
    /// Maximum size of a task's arguments and a job's output once references are replaced, and of a result, in bytes;
    /// 134217728 at most, and always at least 64 KiB below --max-message-bytes [default: 12582912]
    #[arg(long, env = "HUB_MAX_VALUE_BYTES", value_name = "N", value_parser = bounds::MAX_VALUE_BYTES.parser::<u64>())]
    max_value_bytes: Option<u64>,
}

/// What comes of a task.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ResultLimitArgs {
    /// How large a task's result may be, in bytes; a larger one fails the task [default: 8388608]
    #[arg(long, env = "HUB_MAX_RESULT_BYTES", value_name = "N", value_parser = bounds::MAX_RESULT_BYTES.parser::<u64>())]
    max_result_bytes: Option<u64>,
    /// How much of what a task prints is kept, in bytes: its end [default: 65536]
    #[arg(long, env = "HUB_MAX_LOG_BYTES", value_name = "N", value_parser = bounds::MAX_LOG_BYTES.parser::<u64>())]
    max_log_bytes: Option<u64>,
}

impl JobLimitArgs {
    /// Arguments over the file over what is there.
    pub(crate) fn apply(&self, config: &Config, limits: &mut Limits) {
        set(&mut limits.max_bytes, self.max_job_bytes.or(config.max_job_bytes));
        set(&mut limits.max_tasks, self.max_job_tasks.or(config.max_job_tasks));
        set(&mut limits.max_depth, self.max_job_depth.or(config.max_job_depth));
        set(&mut limits.max_value_bytes, self.max_value_bytes.or(config.max_value_bytes));
    }
}

impl ResultLimitArgs {
    /// Arguments over the file over what is there.
    pub(crate) fn apply(&self, config: &Config, runner: &mut RunnerSettings) {
        set(&mut runner.result_limit_bytes, self.max_result_bytes.or(config.max_result_bytes));
        set(&mut runner.log_limit_bytes, self.max_log_bytes.or(config.max_log_bytes));
    }
}

fn set(limit: &mut usize, wanted: Option<u64>) {
    if let Some(wanted) = wanted {
        *limit = usize::try_from(wanted).unwrap_or(usize::MAX);
    }
}
