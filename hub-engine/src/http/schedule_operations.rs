//! The operations of schedules, as the OpenAPI document describes them.

use serde_json::{Value, json};

use super::operation::{Operation, get, in_query, name};
use super::shapes::{reference, text, uuid};

const ONE: &str = "/api/v1/schedules/{name}";

pub(super) fn operations() -> Vec<Operation> {
    let schedule = || name("The name of the schedule.");
    let control = |path, id, summary| Operation {
        method: "post",
        parameters: vec![schedule()],
        body: Some("Pause"),
        refusals: &["400", "404", "408", "413"],
        ..get(path, id, summary, reference("ScheduleName"))
    };
    vec![
        Operation {
            parameters: vec![
                in_query(
                    "limit",
                    "Maximum number of schedules.",
                    json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
                ),
                in_query("after", "The \"next\" of the previous page.", text()),
            ],
            refusals: &["400"],
            ..get("/api/v1/schedules", "listSchedules", "A page of the schedules, by name.", reference("SchedulePage"))
        },
        Operation {
            parameters: vec![schedule()],
            refusals: &["400", "404"],
            ..get(
                ONE,
                "getSchedule",
                "One schedule, with its next times and its skipped ones.",
                reference("ScheduleRecord"),
            )
        },
        Operation {
            method: "put",
            parameters: vec![
                schedule(),
                in_query("by", "The person or program that changes the schedule.", text()),
                in_query(
                    "dry_run",
                    "Changes nothing: the answer says what would be changed.",
                    json!({"type": "boolean", "default": false}),
                ),
            ],
            body: Some("Schedule"),
            answer: ("201", reference("ScheduleSet")),
            refusals: &["400", "408", "413", "422", "429"],
            ..get(
                ONE,
                "putSchedule",
                "Keeps a schedule under its name. If there was one, the answer is 200; with other times than before, it goes on with its next time.",
                Value::Null,
            )
        },
        Operation {
            method: "delete",
            parameters: vec![schedule()],
            refusals: &["400", "404"],
            ..get(ONE, "removeSchedule", "Removes a schedule. Its jobs go on.", reference("ScheduleName"))
        },
        control("/api/v1/schedules/{name}/pause", "pauseSchedule", "Pauses a schedule. Its jobs go on."),
        control(
            "/api/v1/schedules/{name}/resume",
            "resumeSchedule",
            "Resumes a schedule, which goes on with its next time. Times in between are not caught up.",
        ),
        Operation {
            method: "post",
            parameters: vec![
                schedule(),
                in_query("id", "The id for the job. The same request under the same id again has no effect.", uuid()),
            ],
            answer: ("201", reference("Submitted")),
            refusals: &["400", "404", "409", "413", "422"],
            ..get(
                "/api/v1/schedules/{name}/trigger",
                "triggerSchedule",
                "Starts a job of the schedule now, regardless of its times, its overlap and its pause.",
                Value::Null,
            )
        },
    ]
}
