//! Times planning and simulation of a layered graph; needs no harness.

use std::hint::black_box;
use std::time::Instant;

use vox_pipeline_plan::schedule::{critical_path, simulate};
use vox_pipeline_plan::{Plan, Step};

/// Builds `layers` layers of `width` steps where every step needs the three
/// nearest steps of the layer above.
fn layered(layers: usize, width: usize) -> Vec<Step> {
    let mut steps = Vec::with_capacity(layers * width);
    for layer in 0..layers {
        for at in 0..width {
            let above = at.saturating_sub(1)..(at + 2).min(width);
            let needs = match layer.checked_sub(1) {
                Some(parent) => above.map(|near| format!("s{parent}_{near}")).collect(),
                None => Vec::new(),
            };
            let duration = 10 + (layer * 7 + at * 13) as u64 % 40;
            steps.push(Step {
                name: format!("s{layer}_{at}"),
                needs,
                duration,
            });
        }
    }
    steps
}

fn main() {
    let steps = layered(40, 20);
    let rounds = 20_u32;
    let started = Instant::now();
    for _ in 0..rounds {
        match Plan::new(black_box(steps.clone())) {
            Ok(plan) => {
                black_box(critical_path(&plan));
                black_box(simulate(&plan, 8));
            }
            Err(error) => {
                eprintln!("{error}");
                return;
            }
        }
    }
    println!("{:?} per plan", started.elapsed() / rounds);
}
