//! Replaces the references of a template by values, within limits.
//!
//! A job of a few kilobytes can refer to a large value many times. So the size is computed before values are copied,
//! and a template that exceeds the limit takes no memory.

use std::collections::HashMap;
use std::ops::Range;

use super::fill_error::FillError;
use super::model::Job;
use super::reference::{Attribute, Reference};
use super::template::{Replacement, Template};
use super::walk::{Located, ResolveError};
use crate::Json;

/// The values that the templates of one job have referred to, and the places that the references lead to. Each value is
/// traversed once, independently of the number of references. The memory per value grows with the number of places that
/// the job refers to.
#[derive(Debug, Default)]
pub struct Values {
    /// `None` until a path leads into a value.
    #[expect(clippy::box_collection, reason = "most jobs have none, and an empty map takes 48 bytes")]
    known: Option<Box<HashMap<(u32, Attribute), Known>>>,
    /// The number of bytes traversed so far.
    walked: usize,
}

#[derive(Debug)]
struct Known {
    value: Json,
    /// `None` until a path leads into it.
    located: Option<Located>,
}

/// Where references find their values.
pub trait Source {
    /// The attribute of a task. `None`: the reference becomes `null`.
    fn value(&self, task: u32, attribute: Attribute) -> Option<Json>;

    /// The task that this is read of. It is another one for what is read of the first upstream task, so that tasks with the same
    /// first task share what is found in its value.
    fn task_read(&self, task: u32, _: Attribute) -> u32 {
        task
    }
}

impl<V: Fn(u32, Attribute) -> Option<Json>> Source for V {
    fn value(&self, task: u32, attribute: Attribute) -> Option<Json> {
        self(task, attribute)
    }
}

/// Values, and the tasks that they are read of.
pub(crate) struct Lookup<V, T> {
    pub(crate) value: V,
    pub(crate) task_read: T,
}

impl<V: Fn(u32, Attribute) -> Option<Json>, T: Fn(u32, Attribute) -> u32> Source for Lookup<V, T> {
    fn value(&self, task: u32, attribute: Attribute) -> Option<Json> {
        (self.value)(task, attribute)
    }

    fn task_read(&self, task: u32, attribute: Attribute) -> u32 {
        (self.task_read)(task, attribute)
    }
}

/// A value or a part of a value.
struct Piece {
    value: Json,
    range: Range<usize>,
}

impl Job {
    /// Replaces the references of a template of this job. `values` caches what was looked up, so the values must not change
    /// between calls.
    ///
    /// # Errors
    /// If a path leads to no value, or the result would have more than `limit` bytes or be nested too deeply.
    pub fn fill(
        &self,
        template: &Template,
        limit: usize,
        values: &mut Values,
        source: impl Source,
    ) -> Result<Json, FillError> {
        let text = template.as_str();
        if template.placeholders().is_empty() {
            let fits = text.len() <= limit;
            return if fits {
                Ok(template.text())
            } else {
                Err(FillError::TooLarge { bytes: text.len() as u64, limit })
            };
        }
        let literal = text.len()
            - template.placeholders().iter().map(|placeholder| placeholder.end - placeholder.start).sum::<usize>();
        let mut bytes = literal as u64;
        let mut filled = String::with_capacity(text.len().min(limit));
        let mut copied = 0;
        for placeholder in template.placeholders() {
            let piece = match &placeholder.replacement {
                Replacement::Nothing => None,
                Replacement::Reference(reference) => Some(values.piece(self, reference, &source)?),
            };
            let piece = piece.as_ref().map_or("", Piece::text);
            bytes = bytes.saturating_add(piece.len() as u64);
            // Beyond the limit, only the size is computed.
            if bytes <= limit as u64 {
                filled.push_str(&text[copied..placeholder.start]);
                filled.push_str(piece);
            }
            copied = placeholder.end;
        }
        if bytes > limit as u64 {
            return Err(FillError::TooLarge { bytes, limit });
        }
        filled.push_str(&text[copied..]);
        let filled = Json::from_checked(filled);
        if filled.is_deeper_than(Json::MAX_DEPTH) { Err(FillError::TooDeep) } else { Ok(filled) }
    }
}

impl Values {
    /// The number of bytes of values traversed so far. This is the cost of filling besides copying.
    pub(crate) const fn walked(&self) -> usize {
        self.walked
    }

    /// Forgets the item of this task: the next template is filled for another one.
    pub(crate) fn forget_item(&mut self, task: u32) {
        if let Some(known) = &mut self.known {
            known.remove(&(task, Attribute::Item));
            known.remove(&(task, Attribute::Index));
        }
    }

    /// The value that a reference stands for.
    fn piece(&mut self, job: &Job, reference: &Reference, source: &impl Source) -> Result<Piece, FillError> {
        let Reference { task, attribute, .. } = *reference;
        let look_up = || source.value(task, attribute).unwrap_or_else(Json::null);
        if matches!(attribute, Attribute::Data | Attribute::FirstData) && reference.path.is_empty() {
            // Most references have no path.
            return Ok(Piece::whole(look_up()));
        }
        let read = (source.task_read(task, attribute), attribute);
        let known = self.known.get_or_insert_default().entry(read);
        let known = known.or_insert_with(|| Known { value: look_up(), located: None });
        let Some(tree) = job.options().places.of(task, attribute).filter(|_| !reference.path.is_empty()) else {
            return Ok(Piece::whole(known.value.clone()));
        };
        let located = known.located.get_or_insert_with(|| {
            self.walked += known.value.get().len();
            Located::new(tree, known.value.get())
        });
        match located.find(tree, reference.place) {
            Ok(range) => Ok(Piece { value: known.value.clone(), range }),
            Err((step, found)) => {
                let path = reference.path.clone();
                Err(FillError::Missing(ResolveError { task, attribute, path, step, found }))
            }
        }
    }
}

impl Piece {
    fn whole(value: Json) -> Self {
        let range = 0..value.get().len();
        Self { value, range }
    }

    fn text(&self) -> &str {
        &self.value.get()[self.range.clone()]
    }
}
