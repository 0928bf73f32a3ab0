//! Texts of `--help` and the manual pages besides the arguments: examples and exit codes.

/// Exit codes and their meanings.
pub(super) const EXIT_CODES: [(u8, &str); 9] = [
    (0, "success"),
    (1, "the job failed or was cancelled"),
    (2, "usage error or invalid job"),
    (3, "no such job or task"),
    (4, "broker or dispatcher unreachable, or request timed out"),
    (5, "request refused in the current state"),
    (6, "--wait-limit exceeded"),
    (7, "output could not be written"),
    (130, "interrupted"),
];

const ROOT: &str = "\
Examples:
  hub-client run job.json --tasks-dir tasks        run a job locally, without a broker
  hub-client submit job.json --wait                submit a job to the broker on localhost and wait for its end
  hub-client -b amqps://me:secret@rabbit/v list    list the jobs of a Hub on another broker
  hub-client -b http://127.0.0.1:8420 status last  show the newest job, over the HTTP API

See \"hub-client help COMMAND\" for the flags and examples of a command.";

/// The text below the flags of the program.
pub(super) fn root() -> String {
    let codes: Vec<String> = EXIT_CODES.iter().map(|(code, what)| format!("{code} {what}")).collect();
    format!("{ROOT}\n\nExit codes: {}.", codes.join("; "))
}

pub(super) const RUN: &str = "\
Examples:
  hub-client run etc/jobs/sum_product.json --tasks-dir etc/tasks
  generate-job | hub-client run - --tasks-dir tasks --slots 2 --wait-limit 60 -o json

If an asynchronous task waits for its result, the command that posts the result is printed.";

pub(super) const SUBMIT: &str = "\
Examples:
  hub-client submit job.json
  hub-client submit job.json --wait --wait-limit 60 -o json
  generate-job | hub-client submit -";

pub(super) const EXPLAIN: &str = "\
Examples:
  hub-client explain last
  hub-client explain last load
  hub-client explain 05e04509e7b0.'parse[3]' -o json

A task passes these gates in this order: trigger rule, start of the job, when, delay, for_each, wait, retry, pool, broker.";

pub(super) const DOCUMENT: &str = "\
Examples:
  hub-client document 05e04509e7b0 > job.json
  hub-client document last | hub-client submit -

The text is printed byte for byte, whatever the output format is.";

pub(super) const LIST: &str = "\
Examples:
  hub-client list --status FAILED --status CANCELLED
  hub-client list --name nightly --limit 1 -o json
  hub-client list 'name:etl* label.team=data error:TimeoutError started>-24h'
  hub-client list -- -status:success

A filter consists of terms, and a job has to match all of them. A term is a field, \":\" or \"=\", and values separated by commas: status,
name, key, task and error (those of the first failure), label.NAME; \"*\" stands for any characters, and quotation marks stand around
a value with blanks. The times submitted, started and ended are compared: <, <=, >, >=. A \"-\" before a term negates it.";

pub(super) const IDS: &str = "\
An id can be abbreviated to its first or last digits, at least four, if they match only one of the newest 5,000 jobs.";

pub(super) const WATCH: &str = "\
Examples:
  hub-client watch last
  hub-client watch 05e04509e7b0 -o json > record.json
  hub-client watch last --wait-limit 600 2> watch.log

The record goes to standard output; what happens in the job is told on standard error, unless --quiet is given.";

pub(super) const CANCEL: &str = "\
Examples:
  hub-client cancel last --reason 'wrong input'
  hub-client cancel 05e04509e7b1 --now --wait

The job is CANCELLING until its running tasks have ended. To end the grace period of a job that is being cancelled,
cancel it again with --now. The tasks of \"finally\" run after a cancel, unless --handlers is given.";

pub(super) const PAUSE: &str = "\
Examples:
  hub-client pause 05e04509e7b1 --reason 'the database is down'
  hub-client pause --pool gpu
  hub-client resume --pool gpu

While a job is paused, its delays, intervals between attempts and deadline stand still. Times (such as a deadline that
is a time) go on.";

pub(super) const PRIORITY: &str = "\
Examples:
  hub-client priority 05e04509e7b1 10 --reason 'the customer waits'
  hub-client priority last -5

It counts for the tasks of the job that are not handed out yet. Tasks with a priority of their own keep it.";

pub(super) const RESULT: &str = "\
Examples:
  hub-client result 01a20aef-b8a3-72fb-9946-05e04509e7b1 --data '{\"ordered\": 3}'
  hub-client result 05e04509e7b1 --failed 'the supplier did not answer'";

pub(super) const SIGNAL: &str = "\
Examples:
  hub-client signal last delivered --data '{\"parcels\": 3}' --key delivery-17
  hub-client signal 05e04509e7b1 stop --broadcast

A signal that comes before a task waits for it is kept.";

pub(super) const APPROVE: &str = "\
Examples:
  hub-client approve 05e04509e7b1 --input '{\"limit\": 500}'
  hub-client approve 05e04509e7b1 --choice later
  hub-client reject 05e04509e7b1 --by kim

The first answer counts. The same answer may be given again; a different one is refused.";

pub(super) const RETRY: &str = "\
Examples:
  hub-client retry last --wait
  hub-client retry 05e04509e7b0 --from fetch,load --reason 'the source was wrong'
  hub-client retry last --override 'count={\"rows\": 0}'
  hub-client retry last.load --reason 'the database is back'

The new job has the text of the job. Tasks that have succeeded are kept, and the job that has ended does not change.";

pub(super) const REPAIR: &str = "\
Examples:
  hub-client skip 05e04509e7b1 --data '{\"rows\": 0}'
  hub-client fail 05e04509e7b1";

pub(super) const ITEMS: &str = "\
Examples:
  hub-client items last.parse
  hub-client items 05e04509e7b0.parse --after 1000 -o json";

pub(super) const VALIDATE: &str = "\
Examples:
  hub-client validate job.json
  generate-job | hub-client validate -";

pub(super) const SCHEMA: &str = "\
Examples:
  hub-client schema > job.schema.json

Editors that support JSON Schema complete and check a job that begins with {\"$schema\": \"./job.schema.json\",";

pub(super) const COMPLETIONS: &str = "\
Examples:
  hub-client completions bash > /etc/bash_completion.d/hub-client
  hub-client completions zsh --program hub-worker > ~/.zfunc/_hub-worker";

pub(super) const MAN: &str = "\
Examples:
  hub-client man /usr/local/share/man/man1
  hub-client man | man -l -";

pub(super) const DEFINITIONS: &str = "\
Examples:
  hub-client definitions apply jobs/ --alias prod
  hub-client definitions start etl@prod --input day=2026-11-28 --wait
  hub-client definitions list";

pub(super) const SCHEDULES: &str = "\
Examples:
  hub-client schedules next nightly.yaml
  hub-client schedules apply schedules/
  hub-client schedules list
  hub-client schedules pause nightly --reason 'the warehouse is being moved'";

pub(super) const SCHEDULES_APPLY: &str = "\
Examples:
  hub-client schedules apply etc/schedules --dry-run
  hub-client schedules apply nightly.yaml hourly.yaml

A schedule starts a definition, which is applied first: hub-client definitions apply FILE. All files are checked before the first one is
applied. A schedule whose file is missing goes on: hub-client schedules remove NAME.";

pub(super) const SCHEDULES_NEXT: &str = "\
Examples:
  hub-client schedules next nightly.yaml
  hub-client schedules next nightly.yaml --from 2026-03-28T00:00:00Z --limit 3 -o json";

pub(super) const APPLY: &str = "\
Examples:
  hub-client definitions apply etc/definitions --dry-run
  hub-client definitions apply jobs/etl.yaml jobs/load.json --alias prod
  hub-client definitions apply job.json --name nightly

A file whose job is the newest version already changes nothing, so the command can run after every change of a repository.
All files are checked before the first one is applied.";

pub(super) const REFERENCES: &str = "\
A definition is written as NAME for its newest version, NAME@7 for the seventh, and NAME@prod for the version with the alias prod.";

pub(super) const DIFF: &str = "\
Examples:
  hub-client definitions diff etl@3 etl@4
  hub-client definitions diff etl@prod            what is new since the version in production";

pub(super) const START: &str = "\
Examples:
  hub-client definitions start etl
  hub-client definitions start etl@prod --input day=2026-11-28 --input 'tables=[\"a\", \"b\"]' --wait
  hub-client definitions start etl@7 --inputs inputs.yaml --key nightly-2026-11-28";

pub(super) const ALIAS: &str = "\
Examples:
  hub-client definitions alias etl prod 7
  hub-client definitions alias etl canary --remove

Jobs that have begun keep their version.";
