//! Cost estimates for a run.

use crate::graph::Plan;
use crate::Millis;

/// One price step: `price` per unit up to `until` units in total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Cumulative amount at which the tier ends.
    pub until: u64,
    /// Price per unit, in micro-currency.
    pub price: u64,
}

/// A kind of machine that can run steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Display name.
    pub name: String,
    /// Speed in percent of the machine that the durations were measured on.
    pub speed_percent: u64,
    /// Price per started second, in micro-currency.
    pub per_second: u64,
}

/// Prices an amount under graduated tiers.
///
/// Each unit is charged by the tier it falls into, so a higher amount never
/// makes earlier units cheaper. Tiers must be sorted by `until`; the last
/// price continues beyond the last tier. Without tiers everything is free. The
/// sum saturates.
///
/// # Examples
///
/// ```
/// use vox_pipeline_plan::cost::{tiered_price, Tier};
/// let tiers = [Tier { until: 10, price: 0 }, Tier { until: 20, price: 3 }];
/// assert_eq!(tiered_price(&tiers, 12), 6);
/// assert_eq!(tiered_price(&tiers, 25), 45);
/// ```
#[must_use]
pub fn tiered_price(tiers: &[Tier], amount: u64) -> u64 {
    let mut total = 0_u64;
    let mut start = 0;
    for (at, tier) in tiers.iter().enumerate() {
        let end = if at + 1 == tiers.len() {
            amount
        } else {
            tier.until.min(amount)
        };
        let units = end.saturating_sub(start);
        total = total.saturating_add(units.saturating_mul(tier.price));
        start = start.max(end);
    }
    total
}

/// Estimates the time and price of running one duration on a machine.
///
/// The duration is scaled by the speed and rounded up; billing is by started
/// second with a minimum of one. A machine without speed never finishes, which
/// is reported as `None`.
#[must_use]
pub fn run_on(machine: &Machine, duration: Millis) -> Option<(Millis, u64)> {
    if machine.speed_percent == 0 {
        return None;
    }
    let scaled = duration.checked_mul(100)?.div_ceil(machine.speed_percent);
    let seconds = scaled.div_ceil(1000).max(1);
    Some((scaled, seconds.checked_mul(machine.per_second)?))
}

/// Chooses the cheapest single machine that finishes a plan by a deadline.
///
/// The steps run one after another on that machine, each billed on its own.
/// The answer is the index of the machine, the total time and the price; ties
/// in price go to the faster and then to the earlier machine. `None` means
/// that no machine is fast enough.
#[must_use]
pub fn cheapest_machine(
    plan: &Plan,
    machines: &[Machine],
    deadline: Millis,
) -> Option<(usize, Millis, u64)> {
    let estimate = |machine: &Machine| {
        plan.steps
            .iter()
            .try_fold((0_u64, 0_u64), |(time, price), step| {
                let (step_time, step_price) = run_on(machine, step.duration)?;
                Some((time.checked_add(step_time)?, price.checked_add(step_price)?))
            })
    };
    machines
        .iter()
        .enumerate()
        .filter_map(|(at, machine)| estimate(machine).map(|(time, price)| (at, time, price)))
        .filter(|(_, time, _)| *time <= deadline)
        .min_by_key(|&(at, time, price)| (price, time, at))
}

/// Splits a shared bill among users in proportion to their usage.
///
/// Shares are computed by cumulative rounding: each user pays the difference
/// between two rounded running totals, so the shares add up to the bill and
/// nobody is off by more than one unit. Without any usage nobody pays.
#[must_use]
pub fn share_bill(bill: u64, usage: &[u32]) -> Vec<u64> {
    let total: u128 = usage.iter().map(|&part| u128::from(part)).sum();
    let mut running = 0_u128;
    let mut charged = 0_u128;
    usage
        .iter()
        .map(|&part| {
            if total == 0 {
                return 0;
            }
            running += u128::from(part);
            let due = (u128::from(bill) * running + total / 2) / total;
            let share = due - charged;
            charged = due;
            u64::try_from(share).unwrap_or(u64::MAX)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps;

    fn machine(name: &str, speed_percent: u64, per_second: u64) -> Machine {
        Machine {
            name: name.into(),
            speed_percent,
            per_second,
        }
    }

    #[test]
    fn tiers_are_cumulative() {
        let tiers = [
            Tier {
                until: 5,
                price: 10,
            },
            Tier { until: 8, price: 4 },
            Tier { until: 9, price: 1 },
        ];
        assert_eq!(tiered_price(&tiers, 3), 30);
        assert_eq!(tiered_price(&tiers, 7), 58);
        assert_eq!(tiered_price(&tiers, 20), 74);
        assert_eq!(tiered_price(&[], 20), 0);
    }

    #[test]
    fn seconds_are_billed_when_started() {
        assert_eq!(run_on(&machine("m", 200, 7), 2001), Some((1001, 14)));
        assert_eq!(run_on(&machine("m", 100, 7), 0), Some((0, 7)));
        assert_eq!(run_on(&machine("m", 0, 7), 5), None);
    }

    #[test]
    fn the_cheapest_fast_machine_is_chosen() {
        let plan = Plan::new(steps! { "a" (3000); "b" (5000); }).unwrap();
        let machines = [
            machine("slow", 50, 2),
            machine("base", 100, 5),
            machine("fast", 400, 30),
        ];
        assert_eq!(
            cheapest_machine(&plan, &machines, 20_000),
            Some((0, 16_000, 32))
        );
        assert_eq!(
            cheapest_machine(&plan, &machines, 9_000),
            Some((1, 8_000, 40))
        );
        assert_eq!(cheapest_machine(&plan, &machines, 100), None);
    }

    #[test]
    fn shares_add_up() {
        let shares = share_bill(100, &[1, 1, 1]);
        assert_eq!(shares, [33, 34, 33]);
        assert_eq!(share_bill(7, &[0, 0]), [0, 0]);
    }
}
