//! Suggests similar words for misspelt ones.

/// Maximum length of compared words.
const LONGEST: usize = 64;
/// Maximum cost of one search. Comparing two words costs the product of their lengths.
const MAX_COST_PER_SEARCH: usize = 2_000_000;
/// Maximum cost of all searches of one job.
const MAX_COST_PER_JOB: usize = 20_000_000;

/// Returns the candidate most similar to `word`, if one is similar enough. The first of equally similar candidates
/// wins. If there are very many candidates, only the first ones are compared.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    SearchBudget { left: MAX_COST_PER_SEARCH }.nearest(word, candidates)
}

/// The remaining cost for finding similar words. It bounds the time to refuse a job with a hundred misspelt names among
/// a million.
pub(super) struct SearchBudget {
    left: usize,
}

impl SearchBudget {
    pub(super) const fn for_job() -> Self {
        Self { left: MAX_COST_PER_JOB }
    }

    /// The budget of which nothing is left.
    pub(super) const fn spent() -> Self {
        Self { left: 0 }
    }

    /// Like [`nearest`], within the remaining budget.
    pub(super) fn nearest<'a>(&mut self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let length = word.chars().count();
        if length > LONGEST {
            return None;
        }
        // A word of one letter has no similar words: every other letter would be similar.
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
                // From here on, only a more similar candidate replaces it.
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
    fn finds_similar_words() {
        assert_eq!(nearest("depnds", ["name", "depends"]), Some("depends"));
        assert_eq!(nearest("add", ["multiply"]), None);
        assert_eq!(nearest("ADD", ["odd", "add"]), Some("add"));
        assert_eq!(nearest("hots", ["hosts", "host", "cost"]), Some("hosts"));
        assert_eq!(nearest("a", ["b", "c"]), None);
        assert_eq!(nearest("A", ["a"]), Some("a"));
        assert_eq!(nearest("", ["a", ""]), Some(""));
    }

    #[test]
    fn stops_when_the_budget_is_spent() {
        let mut budget = SearchBudget { left: 100 };
        assert_eq!(budget.nearest("abcdefgh", ["abcdefgx"]), Some("abcdefgx"));
        assert_eq!(budget.nearest("abcdefgh", ["abcdefgx"]), None);
    }
}
