//! Arguments of the dispatcher and of workers that limit sizes.

use hub_core::job::Limits;
use hub_engine::runner::RunnerSettings;

use crate::bounds;
use crate::config::Config;

/// Limits of jobs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct JobLimitArgs {
    /// Maximum size of the text of a job, in bytes [default: 16777216]
    #[arg(long, env = "HUB_MAX_JOB_BYTES", value_name = "N", value_parser = bounds::MAX_JOB_BYTES.parser::<u64>())]
    max_job_bytes: Option<u64>,
    /// Maximum number of tasks of a job [default: 1000000]
    #[arg(long, env = "HUB_MAX_JOB_TASKS", value_name = "N", value_parser = bounds::MAX_JOB_TASKS.parser::<u64>())]
    max_job_tasks: Option<u64>,
    /// Maximum nesting depth of a job's arrays and objects, including the job itself; 120 at most [default: 64]
    #[arg(long, env = "HUB_MAX_JOB_DEPTH", value_name = "N", value_parser = bounds::MAX_JOB_DEPTH.parser::<u64>())]
    max_job_depth: Option<u64>,
    /// Maximum size of a task's arguments and a job's output, after references are replaced, and of a result, in bytes;
    /// 134217728 at most, and always at least 64 KiB below --max-message-bytes [default: 12582912]
    #[arg(long, env = "HUB_MAX_VALUE_BYTES", value_name = "N", value_parser = bounds::MAX_VALUE_BYTES.parser::<u64>())]
    max_value_bytes: Option<u64>,
}

/// Limits of task results.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ResultLimitArgs {
    /// Maximum size of a task's result, in bytes; a task with a larger result fails [default: 8388608]
    #[arg(long, env = "HUB_MAX_RESULT_BYTES", value_name = "N", value_parser = bounds::MAX_RESULT_BYTES.parser::<u64>())]
    max_result_bytes: Option<u64>,
    /// Maximum size of a task's log, in bytes; only its end is kept [default: 65536]
    #[arg(long, env = "HUB_MAX_LOG_BYTES", value_name = "N", value_parser = bounds::MAX_LOG_BYTES.parser::<u64>())]
    max_log_bytes: Option<u64>,
}

impl JobLimitArgs {
    /// Applies the arguments, or else the settings of the file. Other limits stay unchanged.
    pub(crate) fn apply(&self, config: &Config, limits: &mut Limits) {
        set(&mut limits.max_bytes, self.max_job_bytes.or(config.max_job_bytes));
        set(&mut limits.max_tasks, self.max_job_tasks.or(config.max_job_tasks));
        set(&mut limits.max_depth, self.max_job_depth.or(config.max_job_depth));
        set(&mut limits.max_value_bytes, self.max_value_bytes.or(config.max_value_bytes));
    }
}

impl ResultLimitArgs {
    /// Applies the arguments, or else the settings of the file. Other limits stay unchanged.
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
