//! Exact quantities for Vox programs.
//!
//! Values are rational numbers, units carry a dimension, and conversions never
//! lose precision. Money lives in its own module because its rounding follows
//! accounting rules rather than physics.

pub mod dimension;
pub mod money;
pub mod quantity;
pub mod rational;
pub mod significant;

pub use dimension::Dimension;
pub use money::{Money, Rounding};
pub use quantity::{Quantity, UnitError};
pub use rational::Ratio;
