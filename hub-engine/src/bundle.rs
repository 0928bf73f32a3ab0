//! Messages with many parts, such as results or answers: how many of them go together.

/// A message has about so many bytes at most, unless one part alone is larger.
const BYTES: usize = 64 << 10;

/// What a message with many parts holds at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    most: usize,
    bytes: usize,
}

impl Bounds {
    /// `most`: how many parts. `max_message_bytes`: what the broker takes, where that is known.
    pub(crate) fn new(most: usize, max_message_bytes: Option<usize>) -> Self {
        Self { most, bytes: BYTES.min(max_message_bytes.unwrap_or(usize::MAX)) }
    }

    /// Divides `parts`, in their order, among messages. `size`: about how many bytes a part takes in one.
    pub(crate) fn divide<T>(self, parts: Vec<T>, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
        let (mut messages, mut bytes) = (Vec::<Vec<T>>::new(), 0);
        for part in parts {
            let more = size(&part);
            match messages.last_mut() {
                Some(last) if last.len() < self.most && bytes + more <= self.bytes => {
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
    fn a_message_is_neither_too_long_nor_too_large_and_nothing_changes_its_place() {
        let bounds = Bounds::new(3, Some(10 * BYTES));
        assert_eq!(divide(bounds, &[1, 2, 3, 4]), [vec![1, 2, 3], vec![4]]);
        let (half, more) = (BYTES / 2, BYTES + 1);
        assert_eq!(divide(bounds, &[half, half, 1, more, 2]), [vec![half, half], vec![1], vec![more], vec![2]]);
        assert_eq!(divide(Bounds::new(3, Some(100)), &[60, 40, 1, 101]), [vec![60, 40], vec![1], vec![101]]);
        assert!(divide(bounds, &[]).is_empty());
    }
}
