//! W8: the cost of a task in a job of ten thousand tasks and in a job of a million tasks.

use super::Workload;
use crate::bench::cost::{Role, Used};
use crate::bench::figure::{Figure, Unit, digits};
use crate::bench::inside::{self, Part};
use crate::bench::jobs::Shape;
use crate::bench::round::Round;
use crate::bench::run::Bench;

/// Numbers of tasks, each with the number for `--quick`.
const SIZES: [(usize, usize); 3] = [(10_000, 100), (100_000, 200), (1_000_000, 400)];

pub(super) const WORKLOAD: Workload = Workload {
    name: "w8",
    about: "flat, chain and layered graphs of 10,000, 100,000 and 1,000,000 tasks that do nothing",
    needs_broker: false,
    on_request: false,
    figures,
    run,
};

fn figures() -> Vec<Figure> {
    let mut figures = Vec::new();
    for part in Part::ALL {
        for shape in Shape::ALL {
            let smallest = key(part, shape, SIZES[0].0);
            for (size, _) in SIZES {
                let title = format!("W8 {}, {} of {}: CPU a task", part.about(), shape.name(), digits(size as f64));
                let figure = Figure::new(key(part, shape, size), title, Unit::Micros);
                figures.push(match size {
                    10_000 => figure,
                    1_000_000 => figure.beside(&smallest).below(1.3, 1.0),
                    _ => figure.beside(&smallest),
                });
            }
        }
    }
    figures
}

fn run(bench: &Bench, round: &mut Round) {
    for part in Part::ALL {
        for shape in Shape::ALL {
            for (full, quick) in SIZES {
                let tasks = bench.size(full, quick);
                let inside = inside::spawn(part, shape, tasks);
                let key = key(part, shape, full);
                round.cost(&key, inside.tasks, Used::from([(Role::Whole, inside.used())]));
                round.note(&key, inside.cpu / inside.tasks as f64);
            }
        }
    }
}

fn key(part: Part, shape: Shape, size: usize) -> String {
    format!("w8.{}.{}.{size}", part.name(), shape.name())
}
