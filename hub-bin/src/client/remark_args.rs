//! Who asks for something, and why.

/// Arguments of the commands that change something for a reason.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RemarkArgs {
    /// The reason, for the record
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Who asks for it, for the record [default: the user of this process]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl RemarkArgs {
    /// Who asks for it.
    pub(super) fn by(&self) -> Option<String> {
        or_user(self.by.clone())
    }
}

/// Who asks for something: as given, or the user of this process, if known.
pub(super) fn or_user(by: Option<String>) -> Option<String> {
    let of_process = || nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    by.or_else(|| std::env::var("USER").ok().filter(|user| !user.is_empty()).or_else(of_process))
}
