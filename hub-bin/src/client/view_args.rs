//! The arguments that select a part of a record.

use hub_engine::operations::View;

use super::argument_values::keys;

/// Options that select a part of a record.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ViewArgs {
    /// Omit arguments, results, output, errors and logs, which may be large
    #[arg(long)]
    no_data: bool,
    /// Show only these keys of the job and of its tasks, separated by commas, as JSON. Tasks are shown only if "tasks" is one of
    /// the keys. Example: --fields name,status,tasks
    #[arg(long, value_name = "KEYS", value_parser = keys)]
    fields: Option<String>,
}

impl ViewArgs {
    pub(super) fn view(&self) -> View {
        let view = View { no_data: self.no_data, ..View::whole() };
        match &self.fields {
            Some(fields) => view.with_fields(fields),
            None => view,
        }
    }
}
