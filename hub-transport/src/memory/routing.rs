//! Routes messages from exchanges to queues.

use std::collections::HashMap;
use std::sync::Arc;

use crate::topology::{Exchange, ExchangeKind};

/// An exchange and its bindings.
pub(super) struct Routes {
    pub(super) exchange: Exchange,
    /// Queues by their exact key. A fanout exchange has all queues under the empty key.
    exact: HashMap<String, Vec<Arc<str>>>,
    /// Patterns with wildcards.
    patterns: Vec<(String, Arc<str>)>,
}

impl Routes {
    pub(super) fn new(exchange: Exchange) -> Self {
        Self { exchange, exact: HashMap::new(), patterns: Vec::new() }
    }

    pub(super) fn bind(&mut self, key: &str, queue: &str) {
        let key = if self.exchange.kind == ExchangeKind::Fanout { "" } else { key };
        if self.exchange.kind == ExchangeKind::Topic && key.split('.').any(|word| word == "*" || word == "#") {
            let binding = (key.to_owned(), Arc::from(queue));
            if !self.patterns.contains(&binding) {
                self.patterns.push(binding);
            }
            return;
        }
        let queues = self.exact.entry(key.to_owned()).or_default();
        if !queues.iter().any(|bound| &**bound == queue) {
            queues.push(queue.into());
        }
    }

    pub(super) fn unbind_queue(&mut self, queue: &str) {
        self.exact.values_mut().for_each(|queues| queues.retain(|bound| &**bound != queue));
        self.patterns.retain(|(_, bound)| &**bound != queue);
    }

    /// The queues for a key, without duplicates.
    pub(super) fn route(&self, key: &str) -> Vec<Arc<str>> {
        let key = if self.exchange.kind == ExchangeKind::Fanout { "" } else { key };
        let mut queues = self.exact.get(key).cloned().unwrap_or_default();
        for (pattern, queue) in &self.patterns {
            if !queues.contains(queue) && matches(pattern, key) {
                queues.push(Arc::clone(queue));
            }
        }
        queues
    }
}

/// Whether a key matches a topic pattern: `*` matches one word, `#` any number of words.
fn matches(pattern: &str, key: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let words: Vec<&str> = if key.is_empty() { Vec::new() } else { key.split('.').collect() };
    // reach[n]: the pattern up to this part matches the first n words.
    let mut reach = vec![false; words.len() + 1];
    reach[0] = true;
    for part in pattern {
        let mut next = vec![false; words.len() + 1];
        for at in 0..=words.len() {
            next[at] = match part {
                "#" => reach[at] || (at > 0 && next[at - 1]),
                "*" => at > 0 && reach[at - 1],
                word => at > 0 && reach[at - 1] && words[at - 1] == word,
            };
        }
        reach = next;
    }
    reach[words.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_word_by_word() {
        let cases = [
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("#", "", true),
            ("#.c", "a.b.c", true),
            ("*.#.c", "c", false),
            ("#.b.#", "a.b.b.c", true),
        ];
        for (pattern, key, expected) in cases {
            assert_eq!(matches(pattern, key), expected, "{pattern} on {key}");
        }
    }
}
