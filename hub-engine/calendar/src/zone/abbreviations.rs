//! Abbreviations of time zones and the names to write instead.

/// Abbreviations with the names of zones that use them, the most frequent one first.
const ABBREVIATIONS: [(&[&str], &[&str]); 30] = [
    (&["Z"], &["UTC"]),
    (&["CET", "CEST", "MET", "MEST", "MEZ", "MESZ"], &["Europe/Berlin", "Europe/Paris", "Africa/Algiers"]),
    (&["WET", "WEST"], &["Europe/Lisbon", "Atlantic/Canary"]),
    (&["EET", "EEST"], &["Europe/Athens", "Europe/Helsinki", "Africa/Cairo"]),
    (&["MSK", "MSD"], &["Europe/Moscow"]),
    (&["BST"], &["Europe/London", "Asia/Dhaka"]),
    (&["TRT"], &["Europe/Istanbul"]),
    (&["IST"], &["Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"]),
    (&["IDT"], &["Asia/Jerusalem"]),
    (&["ET", "EST", "EDT", "EST5EDT"], &["America/New_York", "America/Panama"]),
    (&["CT", "CST", "CDT", "CST6CDT"], &["America/Chicago", "America/Mexico_City", "Asia/Shanghai"]),
    (&["MT", "MST", "MDT", "MST7MDT"], &["America/Denver", "America/Phoenix"]),
    (&["PT", "PST", "PDT", "PST8PDT"], &["America/Los_Angeles", "Asia/Manila"]),
    (&["AKST", "AKDT"], &["America/Anchorage"]),
    (&["HST", "HDT"], &["Pacific/Honolulu", "America/Adak"]),
    (&["AST", "ADT"], &["America/Halifax", "America/Puerto_Rico", "Asia/Riyadh"]),
    (&["NST", "NDT"], &["America/St_Johns"]),
    (&["BRT", "BRST"], &["America/Sao_Paulo"]),
    (&["ART"], &["America/Argentina/Buenos_Aires"]),
    (&["JST"], &["Asia/Tokyo"]),
    (&["KST"], &["Asia/Seoul"]),
    (&["HKT"], &["Asia/Hong_Kong"]),
    (&["SGT"], &["Asia/Singapore"]),
    (&["PKT"], &["Asia/Karachi"]),
    (&["WIB"], &["Asia/Jakarta"]),
    (&["SAST"], &["Africa/Johannesburg"]),
    (&["AEST", "AEDT"], &["Australia/Sydney", "Australia/Brisbane"]),
    (&["ACST", "ACDT"], &["Australia/Adelaide", "Australia/Darwin"]),
    (&["AWST"], &["Australia/Perth"]),
    (&["NZST", "NZDT"], &["Pacific/Auckland"]),
];

/// The names of zones that use an abbreviation, in upper or lower case. The most frequent one is first.
pub(super) fn zones(abbreviation: &str) -> Option<&'static [&'static str]> {
    let has = |own: &&str| own.eq_ignore_ascii_case(abbreviation);
    ABBREVIATIONS.iter().find(|(own, _)| own.iter().any(has)).map(|(_, zones)| *zones)
}

/// The offset from UTC in minutes, of texts such as `+02:00`, `-5`, `+0530`, `UTC+2` and `GMT-03:30`.
pub(super) fn offset_minutes(text: &str) -> Option<i32> {
    let upper = text.to_ascii_uppercase();
    let rest = upper.strip_prefix("UTC").or_else(|| upper.strip_prefix("GMT")).unwrap_or(&upper);
    let (sign, digits) = match rest.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let number = |text: &str, maximum: i32| {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number: &i32| is_number && *number <= maximum)
    };
    Some(sign * (number(hours, 23)? * 60 + number(minutes, 59)?))
}
