//! Divides parts, such as results or answers, among messages.

/// Approximate maximum size of a message in bytes. A larger part is sent alone.
const MAXIMUM_BYTES: usize = 64 << 10;

/// Limits of a message with several parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    parts: usize,
    bytes: usize,
}

impl Bounds {
    /// `parts` is the maximum number of parts. `max_message_bytes` is the maximum message size of the broker, if known.
    pub(crate) fn new(parts: usize, max_message_bytes: Option<usize>) -> Self {
        Self { parts, bytes: MAXIMUM_BYTES.min(max_message_bytes.unwrap_or(usize::MAX)) }
    }

    /// Divides `parts` in order among messages. `size` is the approximate size of a part in bytes.
    pub(crate) fn divide<T>(self, parts: Vec<T>, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
        let (mut messages, mut bytes) = (Vec::<Vec<T>>::new(), 0);
        for part in parts {
            let more = size(&part);
            match messages.last_mut() {
                Some(last) if last.len() < self.parts && bytes + more <= self.bytes => {
                    bytes += more;
                    last.push(part);
                }
                _ => {
                    bytes = more;
                    messages.push(vec![part]);
                }
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divide(bounds: Bounds, sizes: &[usize]) -> Vec<Vec<usize>> {
        bounds.divide(sizes.to_vec(), |size| *size)
    }

    #[test]
    fn messages_respect_the_limits_and_preserve_the_order() {
        let bounds = Bounds::new(3, Some(10 * MAXIMUM_BYTES));
        assert_eq!(divide(bounds, &[1, 2, 3, 4]), [vec![1, 2, 3], vec![4]]);
        let (half, more) = (MAXIMUM_BYTES / 2, MAXIMUM_BYTES + 1);
        assert_eq!(divide(bounds, &[half, half, 1, more, 2]), [vec![half, half], vec![1], vec![more], vec![2]]);
        assert_eq!(divide(Bounds::new(3, Some(100)), &[60, 40, 1, 101]), [vec![60, 40], vec![1], vec![101]]);
        assert!(divide(bounds, &[]).is_empty());
    }
}
