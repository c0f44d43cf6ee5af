//! Request headers that influence routing.

pub mod accept;
pub mod conditional;
