//! What was probably meant.

/// Maximum length of words that are compared.
const LONGEST: usize = 64;
/// What one look for a near word may cost: comparing two words costs the product of their lengths.
const ONE_LOOK: usize = 2_000_000;
/// What all looks of one job may cost together.
const ONE_JOB: usize = 20_000_000;

/// The candidate that is spelt most like `word`, if one is near enough to be what was meant; of equally
/// near ones the first. Among very many candidates only the first ones are looked at.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    Effort { left: ONE_LOOK }.nearest(word, candidates)
}

/// How much may still be spent on finding near words. A job with a hundred misspelt names among a million
/// is refused as quickly as any other.
pub(super) struct Effort {
    left: usize,
}

impl Effort {
    pub(super) const fn for_one_job() -> Self {
        Self { left: ONE_JOB }
    }

    /// As [`nearest`], as long as the effort lasts.
    pub(super) fn nearest<'a>(&mut self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let length = word.chars().count();
        if length > LONGEST {
            return None;
        }
        // A word of one letter is near to nothing: any other letter would be.
        let mut allowed = (length / 3).clamp(1, 3).min(length.saturating_sub(1));
        let word = word.to_lowercase();
        let mut best = None;
        for candidate in candidates {
            let candidate_length = candidate.chars().take(LONGEST + 1).count();
            let near_in_length = candidate_length.abs_diff(length) <= allowed;
            let cost = if near_in_length { length * candidate_length } else { 0 };
            let Some(left) = self.left.checked_sub(cost + 1 + candidate_length) else { break };
            self.left = left;
            if !near_in_length {
                continue;
            }
            let distance = strsim::osa_distance(&word, &candidate.to_lowercase());
            if distance == 0 {
                return Some(candidate);
            }
            if distance <= allowed {
                best = Some(candidate);
                // Only a nearer one can take its place.
                allowed = distance - 1;
            }
        }
        best
    }

    /// "did you mean …?" for the nearest candidate.
    pub(super) fn did_you_mean<'a>(
        &mut self,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Option<String> {
        self.nearest(word, candidates).map(|candidate| format!("did you mean {candidate:?}?"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_near() {
        assert_eq!(nearest("depnds", ["name", "depends"]), Some("depends"));
        assert_eq!(nearest("add", ["multiply"]), None);
        assert_eq!(nearest("ADD", ["odd", "add"]), Some("add"));
        assert_eq!(nearest("hots", ["hosts", "host", "cost"]), Some("hosts"));
        assert_eq!(nearest("a", ["b", "c"]), None);
        assert_eq!(nearest("A", ["a"]), Some("a"));
        assert_eq!(nearest("", ["a", ""]), Some(""));
    }

    #[test]
    fn effort_ends() {
        let mut effort = Effort { left: 100 };
        assert_eq!(effort.nearest("abcdefgh", ["abcdefgx"]), Some("abcdefgx"));
        assert_eq!(effort.nearest("abcdefgh", ["abcdefgx"]), None);
    }
}
