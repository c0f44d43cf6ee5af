//! Rate limits.

pub mod bucket;
pub mod window;

pub use bucket::TokenBucket;
pub use window::SlidingWindow;
